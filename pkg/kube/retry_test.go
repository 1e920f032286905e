// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"context"
	"errors"
	"io"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
)

func TestRetryOutlastsWhatPasses(t *testing.T) {
	t.Parallel()
	widgets := schema.GroupResource{Resource: "widgets"}
	tests := map[string]struct {
		err    error
		passes bool
	}{
		"too many requests":                            {apierrors.NewTooManyRequests("slow down", 1), true},
		"a server that restarts":                       {apierrors.NewServiceUnavailable("restarting"), true},
		"a server that times out":                      {apierrors.NewServerTimeout(widgets, "get", 1), true},
		"a refused connection":                         {syscall.ECONNREFUSED, true},
		"a connection that broke":                      {io.ErrUnexpectedEOF, true},
		"a connection that broke as it was written to": {syscall.EPIPE, true},
		"a connection that others on it broke":         {errors.New("http2: client connection force closed via ClientConn.Close"), true},
		"not found":                                    {apierrors.NewNotFound(widgets, "w"), false},
		"a conflict":                                   {apierrors.NewConflict(widgets, "w", errors.New("changed")), false},
		"not allowed":                                  {apierrors.NewForbidden(widgets, "w", errors.New("no")), false},
		"anything else":                                {errors.New("what?"), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				err := kube.Retry(t.Context(), func(context.Context) error {
					if calls++; calls <= 3 {
						return tt.err
					}
					return nil
				})
				if tt.passes {
					require.NoError(t, err)
					assert.Equal(t, 4, calls)
					return
				}
				require.ErrorIs(t, err, tt.err)
				assert.Equal(t, 1, calls, "an answer is an answer")
			})
		})
	}
}

func TestRetryEndsWithItsPatienceAndSaysWhatItSaw(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := kube.Retry(t.Context(), func(context.Context) error { return syscall.ECONNREFUSED })
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		assert.Equal(t, time.Minute, time.Since(began))
	})
}

func TestRetryEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		err := kube.Retry(ctx, func(context.Context) error { return syscall.ECONNREFUSED })
		require.Error(t, err)
		assert.Equal(t, 3*time.Second, time.Since(began))
	})
}

func TestRetryThatIsInterruptedSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3500*time.Millisecond, cancel) // between two requests
		err := kube.Retry(ctx, func(context.Context) error { return syscall.ECONNREFUSED })
		require.ErrorIs(t, err, context.Canceled, "the exit code goes by it")
		assert.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
}
