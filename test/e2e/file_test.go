// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiserverv1 "k8s.io/apiserver/pkg/apis/apiserver/v1"
	"sigs.k8s.io/yaml"
)

// key is a key as a file has it.
type key struct{ provider, name, secret string }

// prefix is what every value starts with that is stored with the key.
func (k key) prefix() string { return "k8s:enc:" + k.provider + ":v1:" + k.name + ":" }

// configFolder is where the file is, on a node and in its kube-apiserver.
const configFolder = "/etc/kubernetes/encryption"

func (n *node) configFolder() string { return filepath.Join(n.root, configFolder) }

func (n *node) configFile() string { return filepath.Join(n.configFolder(), "config.yaml") }

func (n *node) historyFolder() string {
	return filepath.Join(n.root, "etc", "kubernetes", ourName)
}

func (n *node) read(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile(n.configFile())
	require.NoError(t, err)
	return data
}

// readIfThere is read where a test may have taken the file away.
func (n *node) readIfThere(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile(n.configFile())
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	return data
}

// put replaces the file, as an administrator with care does.
func (n *node) put(t *testing.T, data []byte) {
	t.Helper()
	temp := filepath.Join(n.configFolder(), "edited")
	require.NoError(t, os.WriteFile(temp, data, 0o600))
	require.NoError(t, os.Rename(temp, n.configFile()))
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// digests are those of all nodes' files: the configuration, where there is one, and the manifests.
func (c *cluster) digests(t *testing.T) map[string]string {
	t.Helper()
	list := map[string]string{}
	for _, n := range c.nodes {
		files, err := filepath.Glob(filepath.Join(n.manifestFolder(), "*"))
		require.NoError(t, err)
		for _, file := range append(files, n.configFile()) {
			data, err := os.ReadFile(file)
			if os.IsNotExist(err) {
				continue
			}
			require.NoError(t, err)
			list[n.name+" "+filepath.Base(file)] = digest(data)
		}
	}
	return list
}

// keys are all keys of a node's file that Secrets are tried with, in the order in which kube-apiserver tries them. The first one writes.
func (n *node) keys(t *testing.T) []key {
	t.Helper()
	var config apiserverv1.EncryptionConfiguration
	require.NoError(t, yaml.UnmarshalStrict(n.read(t), &config))
	at := slices.IndexFunc(config.Resources, func(r apiserverv1.ResourceConfiguration) bool { return slices.Contains(r.Resources, "secrets") })
	require.NotEqual(t, -1, at, "there is a rule for Secrets")
	var list []key
	add := func(provider string, keys []apiserverv1.Key) {
		for _, k := range keys {
			list = append(list, key{provider: provider, name: k.Name, secret: k.Secret})
		}
	}
	for _, p := range config.Resources[at].Providers {
		switch {
		case p.AESGCM != nil:
			add("aesgcm", p.AESGCM.Keys)
		case p.AESCBC != nil:
			add("aescbc", p.AESCBC.Keys)
		case p.Secretbox != nil:
			add("secretbox", p.Secretbox.Keys)
		}
	}
	require.NotEmpty(t, list)
	return list
}

// writeKey is the key that the first node's file writes with.
func (c *cluster) writeKey(t *testing.T) key {
	t.Helper()
	return c.nodes[0].keys(t)[0]
}

// checkFiles looks at how the files and their folders are kept.
func (n *node) checkFiles(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(n.configFolder())
	require.NoError(t, err)
	assert.Len(t, entries, 1, "%s: only the configuration is in its folder", n.name)
	assert.NotRegexp(t, `(?m)^[^#]*[\[{](?:[^}]|$)`, string(n.read(t)), "%s: the file is in block style", n.name)
	for _, folder := range []string{n.configFolder(), n.historyFolder()} {
		checkClosed(t, folder)
	}
	revisions, err := filepath.Glob(filepath.Join(n.historyFolder(), "*.yaml"))
	require.NoError(t, err)
	assert.NotEmpty(t, revisions, "%s: the file has a history", n.name)
}

// checkClosed requires that a folder, with all that is in it, whatever it is for, is open to root alone.
func checkClosed(t *testing.T, folder string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := os.FileMode(0o600)
		if entry.IsDir() {
			mode = 0o700
		}
		checkOwned(t, path, mode)
		return nil
	}))
}

func checkOwned(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	assert.Equal(t, mode, info.Mode().Perm(), path)
	stat, ok := info.Sys().(*syscall.Stat_t)
	require.True(t, ok)
	assert.Zero(t, stat.Uid, "%s is root's", path)
	assert.Zero(t, stat.Gid, "%s is of root's group", path)
}
