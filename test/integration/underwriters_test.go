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

// ways are how a migration asks the kube-apiservers: by one client of the balancer, or each directly and in turn.
var ways = map[string]func(*testing.T, user) migrate.Client{
	"through-the-balancer": func(t *testing.T, u user) migrate.Client { return u.migrator(t, bare.Kubeconfig) },
	"spread-over-three": func(t *testing.T, u user) migrate.Client {
		var direct []migrate.Client
		for _, in := range bare.APIServers {
			direct = append(direct, u.migrator(t, in.Kubeconfig))
		}
		return migrate.Spread(direct...)
	},
}

// underWriters migrates objects of three kinds, once by each way, while writers at each kube-apiserver create, change, delete
// and create again all the while: through the changes of the key, and through the migrations.
func underWriters(t *testing.T, prefix string, options func(*testing.T) migrate.Options) []*writer {
	t.Helper()
	define(t, widgets)
	ns := namespace(t, "aside-of-"+prefix)
	all := []migrate.Resource{secrets, configMaps, widgets}
	fill(t, secrets, ns, 150)
	fill(t, configMaps, ns, 100)
	fill(t, widgets, ns, 100)
	stop := startWriters(t, prefix, all...)
	for way, clientFor := range ways {
		t.Run(way, func(t *testing.T) {
			migrator := user("integration:migrator-of-" + prefix + "-" + way)
			migrateUnderWriters(t, clientFor(t, migrator), options(t), all)
			requireNothingCreated(t, migrator)
		})
	}
	writers := stop()
	requireRecords(t, prefix, writers)
	for _, r := range all {
		requireUntouched(t, r, ns)
	}
	return writers
}

func migrateUnderWriters(t *testing.T, client migrate.Client, opts migrate.Options, resources []migrate.Resource) {
	t.Helper()
	key := bare.rotate(t, "aesgcm")
	<-time.After(settle)
	met := int64(0)
	for _, r := range resources {
		opts.Baseline, opts.PatchType = baseline(t, r), migrate.KindFor(r, 1<<10)
		report, err := migrate.Run(t.Context(), client, r, opts)
		require.NoError(t, err)
		t.Logf("%s: %+v", r, report)
		assert.True(t, report.Complete, "%s: %s", r, report.Note)
		assert.Zero(t, report.Failed)
		assert.Zero(t, report.Altered)
		assert.GreaterOrEqual(t, report.Migrated, int64(100))
		_, stale := countStale(t, r, opts.Baseline)
		assert.LessOrEqual(t, stale, report.Unchanged, "what is not later than the baseline was found current")
		bare.requireAllStoredWith(t, key, r)
		met += report.Gone + report.Conflicts
	}
	assert.Positive(t, met, "writers and migration met at some objects")
}

func TestMigrationUnderWriters(t *testing.T) {
	writers := underWriters(t, "writer", func(*testing.T) migrate.Options { return migrate.Options{} })
	var creates, updates, deletes int
	for _, w := range writers {
		assert.Empty(t, w.unsettled, "every write was answered")
		creates, updates, deletes = creates+w.creates, updates+w.updates, deletes+w.deletes
	}
	t.Logf("the writers made %d objects, changed them %d times and deleted %d", creates, updates, deletes)
	assert.Positive(t, deletes)
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
