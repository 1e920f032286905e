// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	systemNamespace = "kube-system"
	// ourName is that of the lock, of the record, and of the label on everything that the plugin makes.
	ourName = "kubectl-encryption"
)

// checkNothingLeft requires that nothing of the plugin is in the cluster but its record.
func (c *cluster) checkNothingLeft(t *testing.T) {
	t.Helper()
	ours := metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + ourName}
	jobs, err := c.client.BatchV1().Jobs("").List(t.Context(), ours)
	require.NoError(t, err)
	assert.Empty(t, jobs.Items, "Jobs")
	pods, err := c.client.CoreV1().Pods("").List(t.Context(), ours)
	require.NoError(t, err)
	assert.Empty(t, pods.Items, "Pods")
	secrets, err := c.client.CoreV1().Secrets("").List(t.Context(), ours)
	require.NoError(t, err)
	assert.Empty(t, secrets.Items, "Secrets")
	migrations, err := c.client.StoragemigrationV1().StorageVersionMigrations().List(t.Context(), ours)
	if !apierrors.IsNotFound(err) { // an older server has no such thing
		require.NoError(t, err)
		assert.Empty(t, migrations.Items, "StorageVersionMigrations")
	}
	leases, err := c.client.CoordinationV1().Leases("").List(t.Context(), ours)
	require.NoError(t, err)
	assert.Empty(t, leases.Items, "Leases")
	_, err = c.client.CoordinationV1().Leases(systemNamespace).Get(t.Context(), ourName, metav1.GetOptions{})
	assert.True(t, apierrors.IsNotFound(err), "the lock is released: %v", err)
}

// checkSettled requires all that a rotation promises when it has ended, and gives the write key.
func (c *cluster) checkSettled(t *testing.T) key {
	t.Helper()
	k := c.writeKey(t)
	c.checkLoaded(t)
	c.checkStored(t, k)
	c.checkReadable(t)
	c.checkNothingLeft(t)
	for _, n := range c.nodes {
		n.checkFiles(t)
	}
	t.Logf("everything is stored with key %s/%s", k.provider, k.name)
	return k
}
