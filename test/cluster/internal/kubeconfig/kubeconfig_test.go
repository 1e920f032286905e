// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeconfig_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubeconfig"
)

func TestSaveAndLoad(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	config := kubeconfig.Config{Server: "https://one:6443", CA: []byte("ca"), Certificate: []byte("cert"), Key: []byte("key")}
	require.NoError(t, config.WithServer("https://two:6443").Save(file))

	loaded, err := kubeconfig.Load(file)
	require.NoError(t, err)
	assert.Equal(t, "https://two:6443", loaded.Server)
	assert.Equal(t, "https://one:6443", config.Server, "the original stays as it was")
	assert.Equal(t, config, loaded.WithServer(config.Server))
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestLoad_refuses(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"no YAML => an error":      "\t",
		"no cluster => an error":   "kind: Config\nusers: [{name: u}]\n",
		"two clusters => an error": "clusters: [{name: a}, {name: b}]\nusers: [{name: u}]\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "kubeconfig")
			require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
			_, err := kubeconfig.Load(file)
			assert.ErrorContains(t, err, "read kubeconfig")
		})
	}
}
