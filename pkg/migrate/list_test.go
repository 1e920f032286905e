// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func staleAPI(objects int) *fakeAPI {
	a := newFakeAPI()
	for i := range objects {
		a.createStale(fmt.Sprintf("ns/%05d", i))
	}
	return a
}

func TestRun_pages(t *testing.T) {
	t.Run("many pages => each object once", func(t *testing.T) {
		a := staleAPI(25)
		report := run(t, a, Options{PageSize: 10})
		assert.Equal(t, []int64{25, 25}, []int64{report.Listed, report.Migrated})
		assert.Len(t, a.patchTypes(), 25)
	})
	t.Run("the list expires => goes on where it was, from a later state", func(t *testing.T) {
		a := staleAPI(25)
		a.before = func(r fakeRequest) *fakeFault {
			if r.token != "" && r.token[0] != '-' {
				a.compact()
			}
			return nil
		}
		report := run(t, a, Options{PageSize: 10, Concurrency: 1})
		assert.Equal(t, int64(25), report.Listed)
		assert.Equal(t, int64(25), report.Migrated)
		assert.True(t, report.Complete)
	})
	t.Run("the list expires and nothing says where it was => listed anew, each object once", func(t *testing.T) {
		a := staleAPI(25)
		expired := 0
		a.before = func(r fakeRequest) *fakeFault {
			if r.token != "" && expired < maxExpired {
				expired++
				a.create("ns/00003"+strings.Repeat("a", expired), "") // where the list has been already, with the write key
				return &fakeFault{status: statusFor(410, metav1.StatusReasonExpired, "too old")}
			}
			return nil
		}
		report := run(t, a, Options{PageSize: 10, Concurrency: 1})
		assert.Equal(t, maxExpired, expired)
		assert.Equal(t, []int64{25, 25}, []int64{report.Listed, report.Migrated})
		assert.Len(t, a.patchTypes(), 25, "what was written is not written again")
		assert.True(t, report.Complete)
	})
	t.Run("it expires whenever it gets further => comes to its end all the same", func(t *testing.T) {
		a := staleAPI(60)
		expired := map[string]bool{}
		a.before = func(r fakeRequest) *fakeFault {
			if _, after, _ := strings.Cut(r.token, ":"); after != "" && !expired[after] {
				expired[after] = true
				return &fakeFault{status: statusFor(410, metav1.StatusReasonExpired, "too old")}
			}
			return nil
		}
		report := run(t, a, Options{PageSize: 10, Concurrency: 1})
		assert.Equal(t, []int64{60, 60}, []int64{report.Listed, report.Migrated})
	})
	t.Run("objects come in another order than etcd's => it can't be told what was reached, and that is an error", func(t *testing.T) {
		var seen reached
		page := &metav1.PartialObjectMetadataList{Items: make([]metav1.PartialObjectMetadata, 2)}
		page.Items[0].Name, page.Items[1].Name = "b", "a"
		assert.True(t, seen.pass(page))
		assert.Len(t, page.Items, 2, "and none is passed over")
		assert.True(t, seen.unordered)
	})
	t.Run("the list expires always and nothing says where it was => an error, not a loop", func(t *testing.T) {
		a := staleAPI(25)
		a.before = func(r fakeRequest) *fakeFault {
			if r.token != "" {
				return &fakeFault{status: statusFor(410, metav1.StatusReasonExpired, "too old")}
			}
			return nil
		}
		report, err := Run(t.Context(), a.client(t), secrets(), Options{PageSize: 10})
		require.ErrorContains(t, err, "too old")
		assert.False(t, report.Complete)
	})
	t.Run("the list expires again and again => an error, not a loop", func(t *testing.T) {
		a := staleAPI(25)
		a.before = func(r fakeRequest) *fakeFault {
			s := statusFor(410, metav1.StatusReasonExpired, "too old")
			s.Continue = "-1:ns/00009"
			if r.token != "" {
				return &fakeFault{status: s}
			}
			return nil
		}
		_, err := Run(t.Context(), a.client(t), secrets(), Options{PageSize: 10})
		require.ErrorContains(t, err, "too old")
	})
}

func TestRun_listFails(t *testing.T) {
	failing := func(status metav1.Status, times int) (*fakeAPI, func(fakeRequest) *fakeFault) {
		a := staleAPI(3)
		return a, func(r fakeRequest) *fakeFault {
			if r.verb == "get" && r.number <= times {
				return &fakeFault{status: status}
			}
			return nil
		}
	}
	t.Run("the server is away for a while => waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, before := failing(statusFor(503, "", "away"), 5)
			a.before = before
			assert.True(t, run(t, a, Options{}).Complete)
		})
	})
	t.Run("the server names a delay => waits as long", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := staleAPI(3)
			a.before = func(r fakeRequest) *fakeFault {
				if r.number > 2 {
					return nil
				}
				return &fakeFault{status: statusFor(429, metav1.StatusReasonTooManyRequests, "slow down"), retryAfter: "4"}
			}
			start := time.Now()
			assert.True(t, run(t, a, Options{}).Complete)
			assert.Equal(t, 8*time.Second, time.Since(start))
		})
	})
	t.Run("the server is away for long => an error that says so", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, before := failing(statusFor(503, "", "away"), 1000)
			a.before = before
			start := time.Now()
			_, err := Run(t.Context(), a.client(t), secrets(), Options{})
			require.ErrorIs(t, err, ErrUnavailable)
			assert.Equal(t, DefaultObjectTimeout, time.Since(start))
		})
	})
	t.Run("an object can't be decrypted => an error after a few attempts", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			status := statusFor(500, metav1.StatusReasonInternalError, `unable to transform key "/registry/secrets/ns/a"`)
			a, before := failing(status, 1000)
			a.before = before
			_, err := Run(t.Context(), a.client(t), secrets(), Options{})
			require.ErrorContains(t, err, `list secrets: unable to transform key "/registry/secrets/ns/a"`)
			assert.Len(t, a.requests, 1+fewRetries)
		})
	})
	t.Run("etcd elects a leader, credentials expire => waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			for _, status := range []metav1.Status{
				statusFor(500, "", "etcdserver: leader changed"), statusFor(401, metav1.StatusReasonUnauthorized, "expired"),
			} {
				a, before := failing(status, fewRetries)
				a.before = before
				assert.True(t, run(t, a, Options{}).Complete)
			}
		})
	})
	t.Run("resourceVersions that are no numbers => an error", func(t *testing.T) {
		a := staleAPI(3)
		a.objects["ns/00001"].meta.ResourceVersion = "opaque"
		_, err := Run(t.Context(), a.client(t), secrets(), Options{})
		require.ErrorContains(t, err, `compare secrets "ns/00001" with baseline`)
		_, _, err = CountStale(t.Context(), a.client(t), secrets(), "5")
		require.ErrorContains(t, err, `count secrets: compare secrets "ns/00001" with baseline`)
	})
	t.Run("not allowed => an error after a few attempts, since a server that starts allows nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, before := failing(statusFor(403, metav1.StatusReasonForbidden, "no"), 1000)
			a.before = before
			_, err := Baseline(t.Context(), a.client(t), secrets())
			require.ErrorContains(t, err, "take baseline of secrets: list secrets: no")
			assert.Len(t, a.requests, 1+fewRetries)
		})
	})
	t.Run("the resource is not served => a note, not an error, and not complete", func(t *testing.T) {
		a := staleAPI(3)
		a.absent = true
		report := run(t, a, Options{})
		assert.Equal(t, "the server does not serve secrets in this version any more", report.Note)
		assert.False(t, report.Complete)
	})
	t.Run("the resource goes away during the run => a note", func(t *testing.T) {
		a := staleAPI(25)
		a.before = func(r fakeRequest) *fakeFault {
			a.absent = a.absent || r.token != ""
			return nil
		}
		report, err := Run(t.Context(), a.client(t), secrets(), Options{PageSize: 10})
		require.NoError(t, err)
		assert.NotEmpty(t, report.Note)
		assert.False(t, report.Complete)
	})
}

func TestRun_cancelled(t *testing.T) {
	for name, verb := range map[string]string{"while listing": "get", "while writing": "patch"} {
		t.Run(name+" => what was done, and the context's error", func(t *testing.T) {
			a := staleAPI(50)
			ctx, cancel := context.WithCancel(t.Context())
			a.before = func(r fakeRequest) *fakeFault {
				if r.verb == verb && r.number > 20 {
					cancel()
				}
				return nil
			}
			report, err := Run(ctx, a.client(t), secrets(), Options{PageSize: 10, Concurrency: 2})
			require.ErrorIs(t, err, context.Canceled)
			assert.False(t, report.Complete)
			assert.Less(t, report.Migrated, int64(50))

			a.before = nil
			assert.True(t, run(t, a, Options{Baseline: report.Baseline}).Complete, "another run goes on from there")
		})
	}
	t.Run("before anything => nothing is asked", func(t *testing.T) {
		a := staleAPI(1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := Run(ctx, a.client(t), secrets(), Options{})
		require.ErrorIs(t, err, context.Canceled)
		_, _, err = CountStale(ctx, a.client(t), secrets(), "1")
		require.ErrorIs(t, err, context.Canceled)
		assert.Empty(t, a.requests)
	})
}

func TestCount(t *testing.T) {
	for _, objects := range []int{0, 1, 25} {
		a := staleAPI(objects)
		got, err := Count(t.Context(), a.client(t), secrets())
		require.NoError(t, err)
		assert.Equal(t, int64(objects), got)
		assert.Len(t, a.requests, 1)
	}
	a := staleAPI(3)
	a.absent = true
	_, err := Count(t.Context(), a.client(t), secrets())
	require.ErrorContains(t, err, "count secrets")
}
