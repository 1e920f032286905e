// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// settle is how long writes in flight are given to end before a baseline is taken.
const settle = 2 * time.Second

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

func migrateAll(t *testing.T, r migrate.Resource, opts migrate.Options) migrate.Report {
	t.Helper()
	report, err := migrate.Run(t.Context(), bare.migrator, r, opts)
	require.NoError(t, err)
	t.Logf("%s: %+v", r, report)
	return report
}

// Two thousand objects of three kinds, and writers at each kube-apiserver that create, change, delete and create again all the while:
// through the change of the key, and through the migration.
func TestMigrationUnderWriters(t *testing.T) {
	define(t, widgets)
	ns := namespace(t, "many")
	fill(t, secrets, ns, 900)
	fill(t, configMaps, ns, 600)
	fill(t, widgets, ns, 500)
	all := []migrate.Resource{secrets, configMaps, widgets}
	stop := startWriters(t, "writer", all...)
	key := bare.rotate(t, "aesgcm")
	<-time.After(settle)
	for _, r := range all {
		from := baseline(t, r)
		objects, stale := countStale(t, r, from)
		assert.LessOrEqual(t, stale, objects)
		report := migrateAll(t, r, migrate.Options{Baseline: from})
		assert.True(t, report.Complete, "%s: %s", r, report.Note)
		assert.Zero(t, report.Failed)
		assert.Zero(t, report.Altered)
		assert.GreaterOrEqual(t, report.Migrated, int64(500))
		_, stale = countStale(t, r, from)
		assert.LessOrEqual(t, stale, report.Unchanged, "what is not later than the baseline was found current")
	}
	writers := stop()
	var creates, updates, deletes int
	for _, w := range writers {
		w.requireRecord(t)
		creates, updates, deletes = creates+w.creates, updates+w.updates, deletes+w.deletes
	}
	t.Logf("the writers made %d objects, changed them %d times and deleted %d", creates, updates, deletes)
	assert.Positive(t, deletes)
	for _, r := range all {
		bare.requireAllStoredWith(t, key, r)
		requireUntouched(t, r, ns)
	}
}

// requireUntouched looks for traces of a migration in the objects that nobody else wrote to.
func requireUntouched(t *testing.T, r migrate.Resource, namespace string) {
	t.Helper()
	list, err := bare.of(r, namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for i := range list.Items {
		o := &list.Items[i]
		for _, f := range o.GetManagedFields() {
			require.NotEqual(t, "kubectl-encryption", f.Manager, "%s %s", r, o.GetName())
		}
		if o.GetName() != "kube-root-ca.crt" {
			require.Equal(t, "as it was", textOf(o), "%s %s", r, o.GetName())
			require.LessOrEqual(t, o.GetGeneration(), int64(1), "%s %s", r, o.GetName())
		}
	}
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
