// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// keepTwo rotates with the smallest retention before and after the revisions that old keys encrypt are compacted. A
// kube-apiserver compacts every five minutes where nothing else is said, and none of the tests takes twice as long
// since the last key came.
func (c *cluster) keepTwo(t *testing.T) {
	n := c.nodes[0]
	c.succeed(t, "rotate", "--yes", "--keep", "2")
	last := c.checkSettled(t)
	c.succeed(t, "rotate", "--yes", "--keep", "2")
	c.checkSettled(t)
	before := n.keys(t)
	assert.Greater(t, len(before), 2, "keys stay while old revisions may need them")

	c.setFlag(t, n, "etcd-compaction-interval", "5s")
	c.succeed(t, "rotate", "--yes", "--keep", "2")
	write := c.checkSettled(t)
	after := n.keys(t)
	assert.Equal(t, []key{write, before[0]}, after, "the write key and the one before it stay")
	assert.NotContains(t, after, last)
	c.checkHistory(t, n, before)
	c.checkHealthyStatus(t)
}

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
