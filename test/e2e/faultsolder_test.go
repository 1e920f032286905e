// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && faults

package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// olderFile has somebody put the file from before the promotion on one node while the second resource is migrated: a tool that keeps
// files as they were, or a backup. Its kube-apiserver writes with the older key from then on, also what was migrated already. The
// rotation does not end as if nothing had happened, no key leaves any node, and what was written so does not stay so.
func olderFile(t *testing.T, c trial) {
	c.row.Tried++
	old, had := c.writeKey(t), c.nodes[0].keys(t)
	ended := c.toAnotherKey(t)
	n := c.nodes[len(c.nodes)-1]
	run := c.begin(t, "rotate", "--yes", "--max-rate", "5", "--keep=2", "--converge-timeout", "20s")
	first := ""
	_, ok := run.until(func(e event) bool {
		if e.Event != "migration-progress" || e.Done == 0 {
			return false
		}
		if first == "" {
			first = e.Resource
		}
		return e.Resource != first
	})
	require.True(t, ok, "%s", &run.stderr)
	target := n.keys(t)[0]
	n.put(t, c.beforePromotion(t, n, old, target))
	require.Equal(t, old, n.keys(t)[0])

	code := run.wait(t)
	t.Logf("exit code %d: %s", code, &run.stderr)
	require.Contains(t, []int{1, 124}, code, "the rotation has not come to its end")
	told(t, code, run.stderr.String())
	for _, n := range c.nodes {
		assert.Subset(t, n.keys(t), append(had, target), "no key leaves %s", n.name)
	}
	if r := c.plugin(t, again("rotate")...); r.code != 0 {
		t.Log(r.stderr)
		told(t, r.code, r.stderr)
		assert.Contains(t, r.stderr, "kubectl encryption repair")
		c.succeed(t, "repair", "--yes")
		c.succeed(t, again("rotate")...)
	}
	assert.Equal(t, target, c.writeKey(t), "the rotation has come to the key that it made")
	ended(t)
}

// beforePromotion is a node's file as it was when the new key was the second one. For the only node it is made of the one after: there
// the key has come in front at once.
func (c trial) beforePromotion(t *testing.T, n *node, old, target key) []byte {
	t.Helper()
	if len(c.nodes) > 1 {
		return n.revisionOf(t, old, target)
	}
	file := string(n.read(t))
	require.Equal(t, []key{target, old}, n.keys(t)[:2])
	swapped := strings.NewReplacer(
		"name: "+quoted(old.name)+"\n", "name: "+quoted(target.name)+"\n", old.secret, target.secret,
		"name: "+quoted(target.name)+"\n", "name: "+quoted(old.name)+"\n", target.secret, old.secret,
	).Replace(file)
	require.NotEqual(t, file, swapped)
	return []byte(swapped)
}
