// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// keepTwoTooEarly rotates with the smallest retention while the revisions that old keys encrypt are not compacted: a
// kube-apiserver compacts every five minutes where nothing else is said.
func (c *cluster) keepTwoTooEarly(t *testing.T) {
	for range 2 {
		c.succeed(t, "rotate", "--yes", "--keep", "2")
		c.checkSettled(t)
	}
	assert.Greater(t, len(c.nodes[0].keys(t)), 2, "old revisions may need more keys than two")
}

// keepTwo rotates with the smallest retention when the old revisions are compacted.
func (c *cluster) keepTwo(t *testing.T) {
	n := c.nodes[0]
	c.setFlags(t, n, "--etcd-compaction-interval=5s")
	before := n.keys(t)
	c.succeed(t, "rotate", "--yes", "--keep", "2")
	write := c.checkSettled(t)
	assert.Equal(t, []key{write, before[0]}, n.keys(t), "the write key and the one before it stay")
	c.checkHistory(t, n, before)
	c.checkHealthyStatus(t)
}

// history are the secrets of all keys in the node's history.
func (n *node) history(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(n.historyFolder(), "*.yaml"))
	require.NoError(t, err)
	var secrets []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, found := range secretPattern.FindAllStringSubmatch(string(data), -1) {
			secrets = append(secrets, found[1])
		}
	}
	require.NotEmpty(t, secrets)
	return secrets
}

var secretPattern = regexp.MustCompile(`(?m)^ *secret: (.*)$`)

// checkHistory requires that keys that left the configuration are still in the node's history.
func (c *cluster) checkHistory(t *testing.T, n *node, gone []key) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(n.historyFolder(), "*.yaml"))
	require.NoError(t, err)
	for _, k := range gone {
		assert.True(t, slices.ContainsFunc(files, func(file string) bool {
			data, err := os.ReadFile(file)
			return err == nil && strings.Contains(string(data), k.secret)
		}), "key %s/%s is in the history", k.provider, k.name)
	}
}
