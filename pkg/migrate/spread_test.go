// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// via is one of several instances that serve the same etcd.
type via struct {
	Client
	lists, patches int
	// down: it gives no answer.
	down func() bool
	// before is called before each request, and answers it with its error.
	before func(context.Context) error
}

func (v *via) err(ctx context.Context) error {
	if v.down != nil && v.down() {
		return errors.New("connection refused")
	}
	if v.before != nil {
		return v.before(ctx)
	}
	return nil
}

func (v *via) List(ctx context.Context, r Resource, ns string, opts metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	v.lists++
	if err := v.err(ctx); err != nil {
		return nil, err
	}
	return v.Client.List(ctx, r, ns, opts)
}

func (v *via) Patch(
	ctx context.Context, r Resource, ns, name string, pt types.PatchType, body []byte, opts metav1.PatchOptions,
) (*metav1.PartialObjectMetadata, error) {
	v.patches++
	if err := v.err(ctx); err != nil {
		return nil, err
	}
	return v.Client.Patch(ctx, r, ns, name, pt, body, opts)
}

// three are three instances of one cluster, and the client of all.
func three(t *testing.T, a *fakeAPI) ([]*via, Client) {
	t.Helper()
	vias := []*via{{Client: a.client(t)}, {Client: a.client(t)}, {Client: a.client(t)}}
	return vias, Spread(vias[0], vias[1], vias[2])
}

func TestSpread(t *testing.T) {
	t.Run("three instances => a third of the writes and of the pages each", func(t *testing.T) {
		a := staleAPI(30)
		vias, client := three(t, a)
		report, err := Run(t.Context(), client, secrets(), Options{PageSize: 5, Concurrency: 1})
		require.NoError(t, err)
		assert.True(t, report.Complete)
		assert.Equal(t, int64(30), report.Migrated)
		for _, v := range vias {
			assert.InDelta(t, 42/3, v.lists+v.patches, 2, "the one that answers a list meanwhile gets fewer writes")
			assert.Positive(t, v.lists)
		}
	})
	t.Run("one is down => it is left out, and nothing fails", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := staleAPI(300)
			vias, client := three(t, a)
			vias[1].down = func() bool { return true }
			start := time.Now()
			report, err := Run(t.Context(), client, secrets(), Options{PageSize: 50, Concurrency: 1})
			require.NoError(t, err)
			assert.True(t, report.Complete)
			assert.Equal(t, 1, vias[1].lists+vias[1].patches, "it was asked once")
			assert.Less(t, time.Since(start), restTime)
		})
	})
	t.Run("one goes away and comes back => it is asked again by one request at a time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := staleAPI(600)
			vias, client := three(t, a)
			start := time.Now()
			away := 0
			vias[2].down = func() bool {
				down := time.Since(start) > time.Second && time.Since(start) < 12*time.Second
				if down {
					away++
				}
				return down
			}
			slow := &slowClient{Client: client, delay: 100 * time.Millisecond}
			report, err := Run(t.Context(), slow, secrets(), Options{Concurrency: 3})
			require.NoError(t, err)
			assert.True(t, report.Complete)
			assert.LessOrEqual(t, away, 6, "three at the moment it went, then one every five seconds")
			assert.Greater(t, vias[2].patches, 40, "and its share at the end")
		})
	})
	t.Run("all are down for a while => waits as for one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := staleAPI(30)
			vias, client := three(t, a)
			start := time.Now()
			for _, v := range vias {
				v.down = func() bool { return time.Since(start) < 20*time.Second }
			}
			report, err := Run(t.Context(), client, secrets(), Options{})
			require.NoError(t, err)
			assert.True(t, report.Complete)
			assert.Less(t, time.Since(start), 40*time.Second)
		})
	})
	t.Run("all are down for good => an error that says so", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			vias, client := three(t, staleAPI(30))
			for _, v := range vias {
				v.down = func() bool { return true }
			}
			_, err := Run(t.Context(), client, secrets(), Options{})
			require.ErrorIs(t, err, ErrUnavailable)
		})
	})
	t.Run("an answer that is an error => is an answer", func(t *testing.T) {
		a := staleAPI(9)
		vias, client := three(t, a)
		a.before = onPatches(every, denied())
		_, err := Run(t.Context(), client, secrets(), Options{Concurrency: 1})
		require.NoError(t, err)
		for _, v := range vias {
			assert.Equal(t, 3, v.patches)
		}
	})
	t.Run("one => itself, none => an error", func(t *testing.T) {
		one := &via{}
		assert.Same(t, one, Spread(one))
		_, err := Spread().List(t.Context(), secrets(), "", metav1.ListOptions{})
		require.ErrorIs(t, err, errNoClient)
	})
}

// timedOut is a network error.
type timedOut struct{ error }

func (timedOut) Timeout() bool   { return true }
func (timedOut) Temporary() bool { return true }

func TestSignalOf(t *testing.T) {
	status := func(s metav1.Status) error { return &apierrors.StatusError{ErrStatus: s} }
	delayed := statusFor(500, "", "wait")
	delayed.Details = &metav1.StatusDetails{RetryAfterSeconds: 1}
	delayed.Reason = metav1.StatusReasonServerTimeout
	for name, tc := range map[string]struct {
		err  error
		want signal
	}{
		"done":                       {nil, signalAnswer},
		"gone":                       {status(statusAbout(404, metav1.StatusReasonNotFound, "ns/a", "not found")), signalAnswer},
		"changed":                    {status(statusAbout(409, metav1.StatusReasonConflict, "ns/a", "modified")), signalAnswer},
		"too many requests":          {status(statusFor(429, metav1.StatusReasonTooManyRequests, "")), signalCongested},
		"unavailable":                {status(statusFor(503, "", "")), signalCongested},
		"the gateway's time is up":   {status(statusFor(504, metav1.StatusReasonTimeout, "")), signalCongested},
		"etcd's time is up":          {status(statusFor(500, "", "etcdserver: request timed out")), signalCongested},
		"names a delay":              {status(delayed), signalCongested},
		"no answer in time":          {fmt.Errorf("patch: %w", context.DeadlineExceeded), signalCongested},
		"no answer from the network": {timedOut{errors.New("i/o timeout")}, signalCongested},
		"refused":                    {errors.New("connection refused"), signalNone},
		"the run was ended":          {context.Canceled, signalNone},
		"denied with 429":            {status(statusFor(429, "", `admission webhook "w" denied the request`)), signalNone},
		"a webhook hangs":            {status(statusFor(500, "", `failed calling webhook "w": timeout`)), signalNone},
		"forbidden":                  {status(statusFor(403, metav1.StatusReasonForbidden, "")), signalNone},
		"can't be decrypted":         {status(statusFor(500, metav1.StatusReasonInternalError, "no matching prefix")), signalNone},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, tc.want, signalOf(tc.err)) })
	}
}
