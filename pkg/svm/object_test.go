// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package svm

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	svmv1 "k8s.io/api/storagemigration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	discoveryfake "k8s.io/client-go/discovery/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

func TestServed(t *testing.T) {
	tests := map[string]struct {
		versions []string
		served   bool
		want     string
	}{
		"1.37 serves it":                           {versions: []string{"v1"}, served: true},
		"before, a beta version that is no use":    {versions: []string{"v1beta1"}, want: "(it serves only v1beta1 of that group, Kubernetes v1.36.1)"},
		"before, or switched off: nothing of that": {want: "(it serves nothing of that group, Kubernetes v1.36.1)"},
		"both are served":                          {versions: []string{"v1beta1", "v1"}, served: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			client := served(tt.versions...)
			client.Discovery().(*discoveryfake.FakeDiscovery).FakedServerVersion = &version.Info{GitVersion: "v1.36.1"}
			got, err := Served(t.Context(), client)
			require.NoError(t, err)
			assert.Equal(t, tt.served, got)
			if tt.served {
				return
			}
			report, err := Run(t.Context(), client, atBaseline(3), secrets, Options{Baseline: "500"})
			require.ErrorIs(t, err, ErrNotServed)
			require.ErrorContains(t, err, tt.want)
			var hinted *hint.Error
			require.ErrorAs(t, err, &hinted)
			assert.Contains(t, hinted.Hints[0], "--engine=native")
			assert.False(t, report.Complete)
			assert.Empty(t, migrations(t.Context(), t, client))
		})
	}
}

// owned is a StorageVersionMigration of ours, of the given run.
func owned(name, run string) *svmv1.StorageVersionMigration {
	m := request(secrets, run)
	m.Name = name
	return m
}

func TestSweep(t *testing.T) {
	t.Run("what earlier runs left goes, what others made stays", func(t *testing.T) {
		client := served("v1")
		for _, m := range []*svmv1.StorageVersionMigration{owned("old", "before"), owned("older", "long-ago"), owned("now", "this"), another("theirs")} {
			require.NoError(t, client.Tracker().Add(m))
		}
		removed, err := Sweep(t.Context(), client, "this")
		require.NoError(t, err)
		assert.Equal(t, 2, removed)
		var left []string
		for _, m := range migrations(t.Context(), t, client) {
			left = append(left, m.Name)
		}
		assert.ElementsMatch(t, []string{"now", "theirs"}, left)
	})
	t.Run("the API is not served => nothing to sweep", func(t *testing.T) {
		client := served()
		client.PrependReactor("list", "storageversionmigrations", func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewNotFound(schema.GroupResource{}, "")
		})
		removed, err := Sweep(t.Context(), client, "this")
		require.NoError(t, err)
		assert.Zero(t, removed)
	})
	t.Run("the same run was cut off before => its former object is replaced", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(atBaseline(10))
			elsewhere := owned("of-configmaps", "other")
			elsewhere.Spec.Resource.Resource = "configmaps"
			for _, m := range []*svmv1.StorageVersionMigration{owned("former", "this"), elsewhere} {
				require.NoError(t, tr.client.Tracker().Add(m))
			}
			tr.controller.accept = func(m *svmv1.StorageVersionMigration) bool { return m.Spec.Resource.Resource == "secrets" }
			report, err := tr.run(t.Context(), t)
			require.NoError(t, err)
			assert.True(t, report.Complete)
			requireNothingLeft(t, tr)
			assert.Len(t, migrations(t.Context(), t, tr.client), 1)
		})
	})
}

func TestForeign(t *testing.T) {
	client := served("v1")
	configMaps := another("of-configmaps")
	configMaps.Spec.Resource.Resource = "configmaps"
	group := another("of-a-group")
	group.Spec.Resource.Group = "example.com"
	running := another("running")
	running.Status.Conditions = []metav1.Condition{{Type: "Running", Status: "True"}}
	for _, m := range []*svmv1.StorageVersionMigration{
		running, another("waiting"), ended(another("succeeded"), svmv1.MigrationSucceeded),
		ended(another("failed"), svmv1.MigrationFailed), configMaps, group, owned("ours", "this"), owned("left", "before"),
	} {
		require.NoError(t, client.Tracker().Add(m))
	}
	foreign, err := Foreign(t.Context(), client, secrets, "this")
	require.NoError(t, err)
	names := map[string]bool{}
	for _, m := range foreign {
		names[m.Name] = m.Running
	}
	assert.Equal(t, map[string]bool{"running": true, "waiting": false, "left": false}, names)
	none, err := Foreign(t.Context(), client, migrate.Resource{GVR: schema.GroupVersionResource{Resource: "pods"}}, "this")
	require.NoError(t, err)
	assert.Empty(t, none)
}
