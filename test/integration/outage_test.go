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

// A run that is ended in the middle leaves nothing half done; the next one goes on from there.
func TestARunThatIsInterrupted(t *testing.T) {
	ns := namespace(t, "interrupted")
	fill(t, secrets, ns, 200)
	key := bare.rotate(t, "secretbox")
	from := baseline(t, secrets)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	listen, done := once(cancel)
	report, err := migrate.Run(ctx, bare.migrator, secrets, migrate.Options{Baseline: from, MaxRate: 50, Progress: listen})
	done()
	require.ErrorIs(t, err, context.Canceled)
	assert.False(t, report.Complete)
	objects, stale := countStale(t, secrets, from)
	assert.Equal(t, stale, int64(len(bare.notStoredWith(t, key, secrets))), "what is stale is what etcd holds otherwise")
	assert.Positive(t, stale)
	next := migrateAll(t, secrets, migrate.Options{Baseline: from})
	assert.True(t, next.Complete)
	assert.Equal(t, stale, next.Migrated)
	assert.Equal(t, objects-stale, next.Skipped)
	bare.requireAllStoredWith(t, key, secrets)
}
