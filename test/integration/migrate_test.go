// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"cmp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

func baseline(t *testing.T, r migrate.Resource) string {
	t.Helper()
	v, err := migrate.Baseline(t.Context(), bare.migrator, r)
	require.NoError(t, err)
	return v
}

func countStale(t *testing.T, r migrate.Resource, baseline string) (objects, stale int64) {
	t.Helper()
	objects, stale, err := migrate.CountStale(t.Context(), bare.migrator, r, baseline)
	require.NoError(t, err)
	return objects, stale
}

// migrateAll migrates with the kind of no-op that the plugin chooses for small objects.
func migrateAll(t *testing.T, r migrate.Resource, opts migrate.Options) migrate.Report {
	t.Helper()
	opts.PatchType = cmp.Or(opts.PatchType, migrate.KindFor(r, 1<<10))
	report, err := migrate.Run(t.Context(), bare.migrator, r, opts)
	require.NoError(t, err)
	t.Logf("%s: %+v", r, report)
	return report
}

// Every provider to every other, and what the counts say on the way.
func TestConversionOfProviders(t *testing.T) {
	ns := namespace(t, "convert")
	fill(t, secrets, ns, 50)
	for _, provider := range []string{"secretbox", "aescbc", "aesgcm"} {
		key := bare.rotate(t, provider)
		from := baseline(t, secrets)
		objects, stale := countStale(t, secrets, from)
		assert.Equal(t, objects, stale, "nothing was written since")
		before := int64(len(bare.notStoredWith(t, key, secrets)))
		assert.Equal(t, objects, before)
		counted, err := migrate.Count(t.Context(), bare.migrator, secrets)
		require.NoError(t, err)
		assert.Equal(t, objects, counted)
		report := migrateAll(t, secrets, migrate.Options{Baseline: from})
		assert.True(t, report.Complete)
		assert.Equal(t, objects, report.Migrated)
		_, stale = countStale(t, secrets, from)
		assert.Zero(t, stale)
		bare.requireAllStoredWith(t, key, secrets)
		again := migrateAll(t, secrets, migrate.Options{Baseline: from})
		assert.Equal(t, objects, again.Skipped, "a second run writes nothing")
		unknown := migrateAll(t, secrets, migrate.Options{})
		assert.Equal(t, objects, unknown.Unchanged, "a run without a baseline asks about each and finds each current")
		assert.True(t, unknown.Complete)
	}
}
