// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package wait_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/wait"
)

func TestUntil_returnsAsSoonAsTheCheckHolds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start, calls := time.Now(), 0
		err := wait.Until(t.Context(), "the third call", time.Minute, func(context.Context) error {
			calls++
			if calls < 3 {
				return errors.New("not yet")
			}
			return nil
		})
		require.NoError(t, err)
		assert.Equal(t, 2*time.Minute, time.Since(start), "the first call is at once")
	})
}

func TestUntil_saysWhatItWaitedForAndWhatItSawLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		err := wait.Until(ctx, "rain", time.Minute, func(context.Context) error { return errors.New("sunny") })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "wait for rain")
		assert.ErrorContains(t, err, "sunny")
	})
}
