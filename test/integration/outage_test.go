// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// once is a listener to progress that does something when a run is under way, and how to wait for that.
func once(do func()) (listen func(migrate.Progress), done func()) {
	var begun atomic.Bool
	var wg sync.WaitGroup
	return func(p migrate.Progress) {
		if p.Done > 0 && begun.CompareAndSwap(false, true) {
			wg.Go(do)
		}
	}, wg.Wait
}

// Continue tokens expire when etcd is compacted: the list goes on behind them.
func TestContinueTokensThatExpire(t *testing.T) {
	ns := namespace(t, "expired")
	fill(t, secrets, ns, 200)
	key := bare.rotate(t, "secretbox")
	ctx, cancel := context.WithCancel(t.Context())
	compactions := 0
	listen, done := once(func() {
		for ctx.Err() == nil {
			if !assert.NoError(t, bare.compact(context.WithoutCancel(ctx))) {
				return
			}
			compactions++
		}
	})
	report := migrateAll(t, secrets, migrate.Options{Baseline: baseline(t, secrets), PageSize: 10, MaxRate: 100, Progress: listen})
	cancel()
	done()
	t.Logf("compacted %d times", compactions)
	assert.Positive(t, compactions)
	assert.True(t, report.Complete)
	assert.Zero(t, report.Failed)
	bare.requireAllStoredWith(t, key, secrets)
}

// A resource that is taken away under a run ends the run, and is no failure of any object.
func TestACustomResourceThatIsDeletedMeanwhile(t *testing.T) {
	define(t, gadgets)
	ns := namespace(t, "gadgets")
	fill(t, gadgets, ns, 100)
	key := bare.rotate(t, "aesgcm")
	listen, done := once(func() { undefine(t.Context(), t, gadgets) })
	report := migrateAll(t, gadgets, migrate.Options{Baseline: baseline(t, gadgets), MaxRate: 50, Progress: listen})
	done()
	assert.False(t, report.Complete)
	assert.NotEmpty(t, report.Note)
	assert.Zero(t, report.Failed)
	assert.Empty(t, bare.stored(t, gadgets), "nothing was resurrected")
	assert.Empty(t, bare.notStoredWith(t, key, gadgets))
}

// One kube-apiserver of three dies in the middle and comes back: what it was asked is asked again.
func TestAKubeAPIServerThatDiesMeanwhile(t *testing.T) {
	ns := namespace(t, "outage")
	fill(t, configMaps, ns, 300)
	key := bare.rotate(t, "aesgcm")
	listen, done := once(func() {
		assert.NoError(t, harness(t.Context(), "bare", "kill-apiserver", "2", "--dir", bare.dir))
	})
	report := migrateAll(t, configMaps, migrate.Options{Baseline: baseline(t, configMaps), MaxRate: 100, Progress: listen})
	done()
	require.NoError(t, harness(t.Context(), "bare", "start-apiserver", "2", "--dir", bare.dir))
	assert.True(t, report.Complete)
	assert.Zero(t, report.Failed)
	bare.requireAllStoredWith(t, key, configMaps)
}

// A run that is ended in the middle leaves nothing half done; the next one goes on from there.
func TestARunThatIsInterrupted(t *testing.T) {
	ns := namespace(t, "interrupted")
	fill(t, configMaps, ns, 200)
	key := bare.rotate(t, "secretbox")
	from := baseline(t, configMaps)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	listen, done := once(cancel)
	report, err := migrate.Run(ctx, bare.migrator, configMaps, migrate.Options{Baseline: from, MaxRate: 50, Progress: listen})
	done()
	require.ErrorIs(t, err, context.Canceled)
	assert.False(t, report.Complete)
	objects, stale := countStale(t, configMaps, from)
	assert.Equal(t, stale, int64(len(bare.notStoredWith(t, key, configMaps))), "what is stale is what etcd holds otherwise")
	assert.Positive(t, stale)
	next := migrateAll(t, configMaps, migrate.Options{Baseline: from})
	assert.True(t, next.Complete)
	assert.Equal(t, stale, next.Migrated)
	assert.Equal(t, objects-stale, next.Skipped)
	bare.requireAllStoredWith(t, key, configMaps)
}
