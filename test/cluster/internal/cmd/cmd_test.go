// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package cmd_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/cmd"
)

func run(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, complaints bytes.Buffer
	root := cmd.New()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&complaints)
	err = root.ExecuteContext(t.Context())
	return out.String(), complaints.String(), err
}

func TestImage_printsAndWritesTheDigest(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	binary := filepath.Join(folder, "agent")
	require.NoError(t, os.WriteFile(binary, []byte("program"), 0o600))
	digestFile := filepath.Join(folder, "digest")
	printed, _, err := run(t, "image", "--binary", binary, "--name", "registry.invalid/agent:v1",
		"--out", filepath.Join(folder, "image.tar"), "--digest-file", digestFile)
	require.NoError(t, err)
	assert.Regexp(t, `^sha256:[0-9a-f]{64}\n$`, printed)
	written, err := os.ReadFile(digestFile)
	require.NoError(t, err)
	assert.Equal(t, printed, string(written))
}

func TestWithoutACluster(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"exec => an error that names the folder":         {"exec", "n1", "--", "true"},
		"etcdctl => an error that names the folder":      {"etcdctl", "--", "version"},
		"node stop => an error that names the folder":    {"node", "stop", "n1"},
		"load => an error that names the folder":         {"load", "a.tar"},
		"kill-apiserver => an error that names the same": {"bare", "kill-apiserver", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "nothing")
			_, _, err := run(t, append([]string{args[0], "--dir", dir}, args[1:]...)...)
			if args[0] == "bare" || args[0] == "node" {
				_, _, err = run(t, append([]string{args[0], args[1], "--dir", dir}, args[2:]...)...)
			}
			require.ErrorContains(t, err, dir)
			assert.NoDirExists(t, dir, "looking makes nothing")
		})
	}
	for _, verb := range [][]string{{"down"}, {"bare", "down"}} {
		dir := filepath.Join(t.TempDir(), "nothing")
		_, said, err := run(t, append(verb, "--dir", dir)...)
		require.NoError(t, err, "there is nothing to do")
		assert.True(t, strings.HasPrefix(said, "no "), said)
	}
}

func TestUp_refusesBeforeItDoesAnything(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"too many nodes => refused":      {"up", "--nodes", "9"},
		"unknown encryption => refused":  {"up", "--encryption", "rot13"},
		"too many instances => refused":  {"bare", "up", "--apiservers", "9"},
		"a number that is none => so":    {"bare", "kill-apiserver", "x"},
		"image without program => an so": {"image", "--name", "a", "--out", "b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := run(t, args...)
			assert.Error(t, err)
		})
	}
}
