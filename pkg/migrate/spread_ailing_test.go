// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// failsAfter answers each request with an error after a time.
func failsAfter(d time.Duration, err error) func(context.Context) error {
	return func(ctx context.Context) error {
		if slept := sleep(ctx, d); slept != nil {
			return slept
		}
		return err
	}
}

func TestSpread_ailing(t *testing.T) {
	status := func(s metav1.Status) error { return &apierrors.StatusError{ErrStatus: s} }
	tests := map[string]struct {
		after time.Duration
		err   error
		// most requests in the five minutes that the run takes.
		most int
	}{
		"starts, and forbids":               {0, status(statusFor(403, metav1.StatusReasonForbidden, "not yet ready to handle request")), 62},
		"knows nobody":                      {0, status(statusFor(401, metav1.StatusReasonUnauthorized, "no")), 62},
		"is overloaded":                     {0, status(statusFor(429, metav1.StatusReasonTooManyRequests, "slow down")), 62},
		"has a proxy before it that is sad": {0, status(statusFor(502, "", "bad gateway")), 62},
		"shuts down":                        {0, status(statusFor(503, "", "shutting down")), 62},
		"is told no by its etcd, late":      {7 * time.Second, status(statusFor(500, "", "etcdserver: request timed out")), 7},
		"answers late that it could not":    {time.Minute, status(statusFor(504, metav1.StatusReasonTimeout, "timeout")), 3},
		"is powered off":                    {30 * time.Second, timedOut{errors.New("dial tcp: i/o timeout")}, 3},
	}
	for name, tt := range tests {
		t.Run("one "+name+" => it is left out for long, and nothing fails", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				vias, client := three(t, staleAPI(3000))
				vias[1].before = failsAfter(tt.after, tt.err)
				report, err := Run(t.Context(), client, secrets(), Options{Concurrency: 3, MaxRate: 10})
				require.NoError(t, err)
				assert.True(t, report.Complete)
				assert.Equal(t, int64(3000), report.Migrated)
				assert.LessOrEqual(t, vias[1].lists+vias[1].patches, tt.most)
				assert.InDelta(t, vias[0].patches, vias[2].patches, 150, "the others share what there is")
			})
		})
	}
	t.Run("all forbid => that is said soon", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := staleAPI(9)
			_, client := three(t, a)
			a.before = onPatches(every, fakeFault{status: statusFor(403, metav1.StatusReasonForbidden, "no")})
			start := time.Now()
			report, err := Run(t.Context(), client, secrets(), Options{})
			require.NoError(t, err)
			assert.Equal(t, map[Reason]int64{ReasonForbidden: 9}, report.Reasons())
			assert.Less(t, time.Since(start), 20*time.Second)
		})
	})
	t.Run("one is slow => it gets fewer requests", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			vias, client := three(t, staleAPI(600))
			for i, v := range vias {
				v.before = failsAfter(time.Duration(10+90*(i%2))*ms, nil)
			}
			_, err := Run(t.Context(), client, secrets(), Options{Concurrency: 6})
			require.NoError(t, err)
			assert.Less(t, vias[1].patches, vias[0].patches/4)
		})
	})
	t.Run("its object can't be decrypted, or a webhook denies or hangs => no reason to leave it out", func(t *testing.T) {
		for _, message := range []string{
			"no matching prefix found", `admission webhook "w" denied the request: no`, `failed calling webhook "w": timeout`,
		} {
			assert.False(t, ailing(status(statusFor(500, metav1.StatusReasonInternalError, message))), message)
		}
	})
	t.Run("the request is not awaited => says nothing", func(t *testing.T) {
		vias, client := three(t, staleAPI(9))
		for _, v := range vias {
			v.before = failsAfter(time.Hour, nil)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := client.List(ctx, secrets(), "", metav1.ListOptions{})
		require.ErrorIs(t, err, context.Canceled)
		for _, in := range client.(*spread).instances {
			assert.Zero(t, in.until)
			assert.Zero(t, in.inFlight)
		}
	})
}

func TestSpread_whatBeganBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vias, client := three(t, staleAPI(9))
		list := func() { _, _ = client.List(t.Context(), secrets(), "", metav1.ListOptions{}) }
		vias[0].before = failsAfter(2*time.Second, nil)
		go list()
		synctest.Wait()
		vias[0].before = failsAfter(time.Second, errors.New("connection reset"))
		vias[1].before, vias[2].before = failsAfter(time.Second, nil), failsAfter(time.Second, nil)
		for range 3 {
			go list()
			synctest.Wait()
		}
		require.NoError(t, sleep(t.Context(), 3*time.Second))
		assert.False(t, client.(*spread).instances[0].until.IsZero(), "a late answer does not take it back in")
	})
}
