// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeadmconfig_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/kubeadmconfig"
)

var update = flag.Bool("update", false, "write the golden files")

const defaultFile = "/etc/kubernetes/encryption/config.yaml"

// The corpus: kubeadm-* as kubeadm writes them, the others as people leave them, encrypted-* with a configuration
// already.
func TestEnable_and_Disable_make_of_the_corpus_what_is_on_record(t *testing.T) {
	t.Parallel()
	for name, data := range corpus(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := fileOf(t, data)
			enabled, err := kubeadmconfig.Enable(data, file)
			require.NoError(t, err)
			requireGolden(t, filepath.Join("enabled", name), enabled)
			requireOn(t, enabled, file)
			requireNothingElse(t, data, enabled)

			disabled, err := kubeadmconfig.Disable(enabled)
			require.NoError(t, err)
			requireGolden(t, filepath.Join("disabled", name), disabled)
			requireOff(t, disabled)
			requireNothingElse(t, disabled, enabled)
		})
	}
}

func TestDisable_gives_back_byte_for_byte_what_was_there_in_block_style_or_as_an_empty_apiServer(t *testing.T) {
	t.Parallel()
	manifests := corpus(t)
	for _, name := range []string{
		"kubeadm-1.29-v1beta3.yaml", "kubeadm-1.33-v1beta4.yaml", "kubeadm-1.37-v1beta4.yaml", "kubeadm-1.37-v1.yaml",
		"v1beta3-audit.yaml", "v1beta4-edited.yaml", "v1beta4-empty-with-comment.yaml", "v1beta4-crlf.yaml",
	} {
		enabled, err := kubeadmconfig.Enable(manifests[name], defaultFile)
		require.NoError(t, err, name)
		disabled, err := kubeadmconfig.Disable(enabled)
		require.NoError(t, err, name)
		assert.Equal(t, string(manifests[name]), string(disabled), name)
	}
}

func requireOn(t assertT, data []byte, file string) {
	t.Helper()
	e, err := kubeadmconfig.Read(data)
	require.NoError(t, err)
	require.Equal(t, file, e.HostPath)
	require.True(t, e.AutomaticReload)
	again, err := kubeadmconfig.Enable(data, file)
	require.NoError(t, err)
	require.Equal(t, string(data), string(again), "a second time changes nothing")
}

func requireOff(t assertT, data []byte) {
	t.Helper()
	e, err := kubeadmconfig.Read(data)
	require.NoError(t, err)
	require.Equal(t, kubeadmconfig.Encryption{}, e)
	again, err := kubeadmconfig.Disable(data)
	require.NoError(t, err)
	require.Equal(t, string(data), string(again), "a second time changes nothing")
}

func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	texts := make(map[string][]byte, len(files))
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		texts[filepath.Base(file)] = data
	}
	return texts
}

// fileOf is the configuration that is named already, else the usual one.
func fileOf(t testing.TB, data []byte) string {
	t.Helper()
	e, err := kubeadmconfig.Read(data)
	require.NoError(t, err)
	if e.HostPath != "" {
		return e.HostPath
	}
	return defaultFile
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
