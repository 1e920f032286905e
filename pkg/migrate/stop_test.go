// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// denied is the answer of a webhook that denies.
func denied() fakeFault {
	return fakeFault{status: statusFor(400, "", `admission webhook "deny.example.com" denied the request: no`)}
}

// onPatches answers every patch of the keys that match by a fault.
func onPatches(match func(key string) bool, fault fakeFault) func(fakeRequest) *fakeFault {
	return func(r fakeRequest) *fakeFault {
		if r.verb != "patch" || !match(r.key) {
			return nil
		}
		return &fault
	}
}

func every(string) bool { return true }

func TestRun_maxFailures(t *testing.T) {
	t.Run("every object is denied => ends after as many as allowed, the canary counted once", func(t *testing.T) {
		a := staleAPI(50)
		a.before = onPatches(every, denied())
		opts := Options{MaxFailures: 5, Concurrency: 1, PageSize: 10, CanaryNamespaces: []string{"ns"}}
		report, err := Run(t.Context(), a.client(t), secrets(), opts)
		require.ErrorIs(t, err, ErrTooManyFailures)
		require.EqualError(t, err, "too many objects failed: 5")
		assert.Equal(t, int64(5), report.Failed)
		assert.Len(t, report.Failures, 5)
		assert.Len(t, a.patchTypes(), 5)
		assert.False(t, report.Complete)
		assert.NotEmpty(t, report.Baseline)
	})
	t.Run("one => the canary ends the run, and nothing else is asked about", func(t *testing.T) {
		a := staleAPI(50)
		a.before = onPatches(every, denied())
		var told []Canary
		opts := Options{MaxFailures: 1, Canary: func(c Canary) { told = append(told, c) }}
		report, err := Run(t.Context(), a.client(t), secrets(), opts)
		require.ErrorIs(t, err, ErrTooManyFailures)
		assert.Len(t, told, 1)
		assert.Equal(t, int64(1), report.Failed)
		assert.Len(t, a.patchTypes(), 1)
	})
	t.Run("fewer than allowed => goes on to the end", func(t *testing.T) {
		a := staleAPI(50)
		a.before = onPatches(func(key string) bool { return key < "ns/00004" }, denied())
		report := run(t, a, Options{MaxFailures: 5})
		assert.Equal(t, []int64{4, 46}, []int64{report.Failed, report.Migrated})
	})
	t.Run("writes in flight => end, and are counted", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := staleAPI(50)
			a.before = onPatches(func(key string) bool { return key == "ns/00000" || key == "ns/00003" }, denied())
			client := &slowClient{Client: a.client(t), delay: time.Second}
			start := time.Now()
			report, err := Run(t.Context(), client, secrets(), Options{MaxFailures: 2, Concurrency: 8})
			require.ErrorIs(t, err, ErrTooManyFailures)
			assert.Equal(t, int64(2), report.Failed)
			assert.Len(t, a.staleKeys(), 50-int(report.Migrated), "every write that was made is in the report")
			assert.GreaterOrEqual(t, report.Migrated, int64(7), "those that began with the one that failed")
			assert.LessOrEqual(t, time.Since(start), 3*time.Second, "the canary, eight at once, and what they left time for")
		})
	})
	t.Run("an object waits for its next attempt => it is not awaited for long", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := staleAPI(50)
			away := fakeFault{status: statusFor(503, "", "away")}
			a.before = func(r fakeRequest) *fakeFault {
				if r.key == "ns/00001" {
					return &away
				}
				return onPatches(func(key string) bool { return key > "ns/00010" }, denied())(r)
			}
			client := &slowClient{Client: a.client(t), delay: time.Second}
			start := time.Now()
			report, err := Run(t.Context(), client, secrets(), Options{MaxFailures: 2, Concurrency: 2})
			require.ErrorIs(t, err, ErrTooManyFailures)
			assert.Equal(t, map[Reason]int64{ReasonDenied: 2}, report.Reasons())
			assert.Less(t, time.Since(start), DefaultObjectTimeout/2)
		})
	})
}

// barrier is a Hold that blocks while it is closed.
type barrier struct {
	mu   sync.Mutex
	open chan struct{}
}

func newBarrier() *barrier {
	b := &barrier{open: make(chan struct{})}
	close(b.open)
	return b
}

func (b *barrier) hold(ctx context.Context) error {
	b.mu.Lock()
	open := b.open
	b.mu.Unlock()
	select {
	case <-open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *barrier) closeFor(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	open := make(chan struct{})
	b.open = open
	time.AfterFunc(d, func() { close(open) })
}

func TestRun_hold(t *testing.T) {
	t.Run("etcd lacks room for ten minutes => nothing is written, nothing fails, and it is told", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := staleAPI(100)
			b := newBarrier()
			client := &slowClient{Client: a.client(t), delay: 50 * time.Millisecond}
			var held []time.Duration
			start := time.Now()
			opts := Options{Concurrency: 4, Hold: b.hold, ObjectTimeout: time.Minute, Progress: func(p Progress) {
				if p.Held != (len(held)%2 == 1) {
					held = append(held, time.Since(start))
				}
			}}
			var during []int
			note := func() {
				a.mu.Lock()
				defer a.mu.Unlock()
				during = append(during, len(a.requests))
			}
			a.before = func(r fakeRequest) *fakeFault {
				if r.key == "ns/00010" {
					b.closeFor(10 * time.Minute)
					time.AfterFunc(time.Second, note)
					time.AfterFunc(9*time.Minute, note)
				}
				return nil
			}
			report, err := Run(t.Context(), client, secrets(), opts)
			require.NoError(t, err)
			assert.True(t, report.Complete)
			assert.Equal(t, int64(100), report.Migrated)
			require.Len(t, during, 2)
			assert.Equal(t, during[0], during[1], "requests in eight minutes of it")
			require.Len(t, held, 2, "told when it begins and when it ends")
			assert.InDelta(t, (10*time.Minute - heldAfter).Seconds(), (held[1] - held[0]).Seconds(), 0.1)
		})
	})
	t.Run("the run is ended meanwhile => ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := staleAPI(3)
			b := newBarrier()
			b.closeFor(time.Hour)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := Run(ctx, a.client(t), secrets(), Options{Hold: b.hold})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Empty(t, a.patchTypes())
		})
	})
	t.Run("it can't tell => the run ends with its error", func(t *testing.T) {
		a := staleAPI(3)
		unknown := errors.New("the size of etcd is unknown")
		_, err := Run(t.Context(), a.client(t), secrets(), Options{Hold: func(context.Context) error { return unknown }})
		require.ErrorIs(t, err, unknown)
		assert.Empty(t, a.patchTypes())
	})
}

func TestRun_patchType(t *testing.T) {
	for _, asked := range []string{"", "application/apply-patch+yaml", "application/merge-patch+json", "application/strategic-merge-patch+json"} {
		a := staleAPI(2)
		report := run(t, a, Options{PatchType: types.PatchType(asked)})
		assert.True(t, report.Complete)
		want := types.PatchType(asked)
		if asked == "" {
			want = "application/apply-patch+yaml"
		}
		assert.Equal(t, []types.PatchType{want, want}, a.patchTypes())
	}
	t.Run("strategic, of a custom resource => merge", func(t *testing.T) {
		a := staleAPI(1)
		a.before = onPatch("ns/00000", 1, fakeFault{status: statusFor(415, metav1.StatusReasonUnsupportedMediaType, "no")})
		report := run(t, a, Options{PatchType: "application/strategic-merge-patch+json"})
		assert.True(t, report.Complete)
		assert.Equal(t, []types.PatchType{"application/strategic-merge-patch+json", "application/merge-patch+json"}, a.patchTypes())
	})
	t.Run("a kind that has no no-op => refused", func(t *testing.T) {
		a := staleAPI(1)
		_, err := Run(t.Context(), a.client(t), secrets(), Options{PatchType: "application/json-patch+json"})
		require.EqualError(t, err, `no no-op is known of the patch type "application/json-patch+json"`)
		assert.Empty(t, a.requests)
	})
}

func TestRun_brokenWebhook(t *testing.T) {
	hanging := func(name string) *fakeFault {
		return &fakeFault{status: statusFor(500, metav1.StatusReasonInternalError,
			fmt.Sprintf("Internal error occurred: failed calling webhook %q: context deadline exceeded", name))}
	}
	t.Run("a webhook hangs => the canary is patient, the others are not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := staleAPI(30)
			a.before = onPatches(every, *hanging("w"))
			report := run(t, a, Options{})
			assert.Equal(t, map[Reason]int64{ReasonWebhookFailed: 30}, report.Reasons())
			assert.Len(t, a.patchTypes(), 1+fewRetries+29)
		})
	})
	t.Run("another webhook fails => that one is repeated", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := staleAPI(3)
			a.before = func(r fakeRequest) *fakeFault {
				switch r.key {
				case "ns/00000":
					return hanging("w")
				case "ns/00001":
					return hanging("v")
				}
				return nil
			}
			run(t, a, Options{Concurrency: 1})
			assert.Len(t, a.patchTypes(), 1+fewRetries+1+fewRetries+1)
		})
	})
	t.Run("the conversion of a custom resource fails => the same", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := staleAPI(3)
			a.before = onPatches(every, fakeFault{status: statusFor(500, "", "conversion webhook for example.com/v1, Kind=X failed: EOF")})
			run(t, a, Options{Concurrency: 1})
			assert.Len(t, a.patchTypes(), 1+fewRetries+2)
		})
	})
}
