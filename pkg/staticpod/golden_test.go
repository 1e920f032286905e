// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package staticpod_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/staticpod"
)

var update = flag.Bool("update", false, "write the golden files")

const defaultFile = "/etc/kubernetes/encryption/config.yaml"

// The corpus: kubeadm-* as kubeadm writes them (1.29 to 1.32 write what 1.33 does, 1.34 to 1.36 what 1.37 does, but for
// the image), edited-* as people leave them, encrypted-* with a configuration already.
func TestEnable_makes_of_each_manifest_of_the_corpus_what_is_on_record(t *testing.T) {
	t.Parallel()
	for name, manifest := range corpus(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := fileOf(t, manifest)
			enabled, err := staticpod.Enable(manifest, file)
			require.NoError(t, err)
			requireGolden(t, filepath.Join("enabled", name), enabled)

			m, err := staticpod.Read(enabled)
			require.NoError(t, err)
			assert.Equal(t, file, m.Encryption.HostPath)
			assert.True(t, m.Encryption.AutomaticReload)
			assert.False(t, m.Encryption.FileMount)
			again, err := staticpod.Enable(enabled, file)
			require.NoError(t, err)
			assert.Equal(t, string(enabled), string(again), "a second time changes nothing")
			requireNothingElse(t, manifest, enabled)
		})
	}
}

func TestDisable_takes_back_what_Enable_did(t *testing.T) {
	t.Parallel()
	for name, manifest := range corpus(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := fileOf(t, manifest)
			enabled, err := staticpod.Enable(manifest, file)
			require.NoError(t, err)
			disabled, err := staticpod.Disable(enabled)
			require.NoError(t, err)
			if isOff(t, manifest) {
				assert.Equal(t, string(manifest), string(disabled), "byte for byte")
			} else {
				requireGolden(t, filepath.Join("disabled", name), disabled)
			}
			assert.True(t, isOff(t, disabled))
			again, err := staticpod.Disable(disabled)
			require.NoError(t, err)
			assert.Equal(t, string(disabled), string(again), "a second time changes nothing")
			requireNothingElse(t, disabled, enabled)
		})
	}
}

// kubeadm 1.33 and 1.37 were given the flags and the volume in their configuration. Only where they put the flags
// differs: behind all others, while 1.31 and before sort them as Enable does.
func TestEnable_agrees_with_what_kubeadm_makes_of_its_own_configuration(t *testing.T) {
	t.Parallel()
	manifests := corpus(t)
	for _, version := range []string{"1.33", "1.37"} {
		enabled, err := staticpod.Enable(manifests["kubeadm-"+version+".yaml"], defaultFile)
		require.NoError(t, err)
		kubeadms := strings.Split(string(manifests["kubeadm-"+version+"-encrypted.yaml"]), "\n")
		assert.ElementsMatch(t, kubeadms, strings.Split(string(enabled), "\n"), version)

		disabled, err := staticpod.Disable(manifests["kubeadm-"+version+"-encrypted.yaml"])
		require.NoError(t, err)
		assert.Equal(t, string(manifests["kubeadm-"+version+".yaml"]), string(disabled), version)
	}
}

func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.yaml"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 20)
	manifests := make(map[string][]byte, len(files))
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		manifests[filepath.Base(file)] = data
	}
	return manifests
}

// fileOf is the configuration that a manifest names already, else the usual one.
func fileOf(t testing.TB, manifest []byte) string {
	t.Helper()
	m, err := staticpod.Read(manifest)
	require.NoError(t, err)
	if m.Encryption.HostPath != "" {
		return m.Encryption.HostPath
	}
	return defaultFile
}

func isOff(t assertT, manifest []byte) bool {
	t.Helper()
	m, err := staticpod.Read(manifest)
	require.NoError(t, err)
	return m.Encryption == staticpod.Encryption{}
}

func requireGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
		require.NoError(t, os.WriteFile(path, got, 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))
}
