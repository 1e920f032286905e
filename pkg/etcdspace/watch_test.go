// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdspace

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// watch runs a watch until the test ends.
func watch(t *testing.T, read func(context.Context) (Reading, error)) (w *Watch, told *[]string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	told = new([]string)
	w = NewWatch(read, 0, func(text string) { *told = append(*told, text) })
	var wg sync.WaitGroup
	wg.Go(func() { w.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return w, told
}

// pass lets time pass.
func pass(d time.Duration) { <-time.After(d) }

func TestAMigrationThatFitsIsNotHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		etcd := &modelled{quota: 2 * gib, live: 500 * mib}
		w, told := watch(t, etcd.read)
		start := time.Now()
		for range 100 {
			require.NoError(t, w.Hold(t.Context()))
			etcd.write(mib)
			pass(time.Second)
		}
		assert.Equal(t, 100*time.Second, time.Since(start))
		assert.Empty(t, *told)
	})
}

// fullModel holds from the first reading on.
func fullModel() *modelled { return &modelled{quota: gib, live: 900 * mib, file: 900 * mib} }

func TestHoldEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _ := watch(t, fullModel().read)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		assert.ErrorIs(t, w.Hold(ctx), context.DeadlineExceeded)
	})
}

func TestHoldEndsWithTheWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := NewWatch(fullModel().read, 0, func(string) {})
		go w.Run(ctx)
		synctest.Wait()
		held := make(chan error)
		go func() { held <- w.Hold(context.WithoutCancel(t.Context())) }()
		synctest.Wait()
		cancel()
		assert.ErrorIs(t, <-held, errEnded)
		assert.ErrorIs(t, w.Hold(t.Context()), errEnded, "also afterwards")
	})
}

func TestAllThatAreHeldGoOnTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		etcd := fullModel()
		w, _ := watch(t, etcd.read)
		synctest.Wait()
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() { assert.NoError(t, w.Hold(t.Context())) })
		}
		pass(time.Hour)
		etcd.mu.Lock()
		etcd.live = 100 * mib
		etcd.mu.Unlock()
		start := time.Now()
		wg.Wait()
		assert.LessOrEqual(t, time.Since(start), Interval)
	})
}

func TestNobodyIsHeldBeforeTheFirstReading(t *testing.T) {
	t.Parallel()
	assert.NoError(t, NewWatch(nil, 0, nil).Hold(t.Context()))
}

func BenchmarkHoldOfAnOpenWatch(b *testing.B) {
	w := NewWatch(nil, 0, nil)
	for b.Loop() {
		_ = w.Hold(b.Context())
	}
}
