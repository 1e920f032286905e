// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package listserver_test

import (
	"testing"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/listserver"
)

func TestServer_isMigratedAsAnAPIWouldBe(t *testing.T) {
	const objects = 1234
	server := listserver.Start(objects)
	defer server.Close()
	secrets := migrate.Resource{GVR: corev1.SchemeGroupVersion.WithResource("secrets"), Kind: "Secret", Namespaced: true}
	client, err := migrate.NewClientForConfig(&rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}})
	require.NoError(t, err)

	baseline, err := migrate.Baseline(t.Context(), client, secrets)
	require.NoError(t, err)
	all, stale, err := migrate.CountStale(t.Context(), client, secrets, baseline)
	require.NoError(t, err)
	assert.Equal(t, []int64{objects, objects}, []int64{all, stale}, "before")

	report, err := migrate.Run(t.Context(), client, secrets, migrate.Options{Baseline: baseline})
	require.NoError(t, err)
	assert.True(t, report.Complete, report.Note)
	assert.Equal(t, int64(objects), report.Migrated)
	assert.Zero(t, report.Altered, "the answers have the metadata that was listed")

	all, stale, err = migrate.CountStale(t.Context(), client, secrets, baseline)
	require.NoError(t, err)
	assert.Equal(t, []int64{objects, 0}, []int64{all, stale}, "after")
}
