// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// joinMidway has control-plane nodes join in the middle of rotations. Whatever the node and the rotation make of it, every
// kube-apiserver reads everything, and the rotation comes to its end.
func (c *cluster) joinMidway(t *testing.T) {
	c.seedMany(t)
	t.Run("while it stands still before its migration", func(t *testing.T) {
		before := c.writeKey(t)
		c.killAt(t, "migrate", "rotate", "--yes")
		n := c.newNode(t)
		c.furnish(t, n)
		c.joinNow(t, n)
		c.succeed(t, "rotate", "--resume", "--yes")
		assert.NotEqual(t, before, c.checkSettled(t))
		c.checkHealthyStatus(t)
		c.checkMany(t)
	})
	t.Run("while it migrates, with a file in which the new key only reads", func(t *testing.T) {
		before := c.writeKey(t)
		c.killAt(t, "await", "rotate", "--yes")
		c.awaitLoaded(t)
		n := c.newNode(t)
		c.furnish(t, n)
		p := c.begin(t, "rotate", "--resume", "--yes", "--max-rate", "8")
		_, ok := p.until(func(e event) bool { return e.starts("migrate") })
		require.True(t, ok, "%s", &p.stderr)
		c.joinNow(t, n)
		require.Equal(t, 1, p.wait(t))
		t.Log(p.stderr.String())
		assert.Contains(t, p.stderr.String(), "the control plane has changed: its nodes were n1, n2 and are n1, n2, n3")
		assert.Contains(t, p.stderr.String(), "rotate --resume")
		require.Equal(t, before, n.keys(t)[0], "it has come up with the older file")
		c.checkMany(t)
		c.succeed(t, "rotate", "--resume", "--yes")
		assert.NotEqual(t, before, c.checkSettled(t))
		c.checkHealthyStatus(t)
		c.checkMany(t)
	})
}

// newNode is one more machine, which kubeadm has not seen yet.
func (c *cluster) newNode(t *testing.T) *node {
	t.Helper()
	name := strings.TrimSpace(c.harness(t, []string{"node", "add"}))
	return &node{name: name, root: filepath.Join(filepath.Dir(c.nodes[0].root), name)}
}

// furnish gives a node that is to join the agreed file, as docs/join.md says.
func (c *cluster) furnish(t *testing.T, n *node) {
	t.Helper()
	agent := c.copyAgent(t, n)
	bundle := c.succeed(t, "join", "--recipient", strings.TrimSpace(c.exec(t, n, agent, "recipient"))).stdout
	c.install(t, n, agent, bundle)
	require.Equal(t, string(c.nodes[0].read(t)), string(n.read(t)))
}

// joinNow makes it a control-plane node.
func (c *cluster) joinNow(t *testing.T, n *node) {
	t.Helper()
	c.harness(t, []string{"node", "join"}, n.name)
	c.read(t)
	c.awaitCalm(t)
}

// leaveMidway has control-plane nodes leave in the middle of rotations, the way kubeadm takes one out. It leaves one node.
func (c *cluster) leaveMidway(t *testing.T) {
	t.Run("while it stands still, with the key on every node", func(t *testing.T) {
		before := c.writeKey(t)
		c.killAt(t, "await", "rotate", "--yes")
		c.takeOut(t, c.nodes[2])
		r := c.awaitSuccess(t, "", "rotate", "--resume", "--yes")
		t.Log(r.stdout, r.stderr)
		assert.NotEqual(t, before, c.checkSettled(t))
		c.checkHealthyStatus(t)
	})
	t.Run("while it migrates", func(t *testing.T) {
		before := c.writeKey(t)
		p := c.begin(t, "rotate", "--yes", "--max-rate", "3")
		_, ok := p.until(func(e event) bool { return e.Event == "migration-progress" && e.Done > 1 })
		require.True(t, ok, "%s", &p.stderr)
		c.takeOut(t, c.nodes[1])
		code := p.wait(t)
		t.Logf("exit code %d: %s", code, &p.stderr)
		assert.NotEqual(t, 124, code, "nobody is waited for who has left")
		if code != 0 {
			c.awaitSuccess(t, "", "rotate", "--resume", "--yes")
		}
		assert.NotEqual(t, before, c.checkSettled(t))
		c.checkHealthyStatus(t)
	})
	t.Run("and a rotation works on those that are left", c.rotateAll)
}

// takeOut takes a node out of the cluster for good (https://kubernetes.io/docs/reference/setup-tools/kubeadm/kubeadm-reset/).
func (c *cluster) takeOut(t *testing.T, n *node) {
	t.Helper()
	t.Log(c.exec(t, n, "kubeadm", "reset", "--force"))
	require.NoError(t, c.client.CoreV1().Nodes().Delete(t.Context(), n.name, metav1.DeleteOptions{}))
	c.harness(t, []string{"node", "kill"}, n.name)
	c.nodes = slices.DeleteFunc(c.nodes, func(other *node) bool { return other == n })
}

// rebootMidway takes a node its power in the middle of a rotation, at some of its stages, and switches it on again.
func (c *cluster) rebootMidway(t *testing.T) {
	for _, stage := range []string{"promote", "await", "migrate"} {
		t.Run("at "+stage, func(t *testing.T) {
			before := c.writeKey(t)
			end := c.readThroughRestarts(t)
			p := c.begin(t, "rotate", "--yes", "--max-rate", "5")
			_, ok := p.until(func(e event) bool { return e.starts(stage) })
			require.True(t, ok, "%s", &p.stderr)
			c.reboot(t, c.nodes[len(c.nodes)-1])
			code := p.wait(t)
			t.Logf("exit code %d: %s", code, &p.stderr)
			require.Contains(t, []int{0, 1, 124}, code)
			c.awaitCalm(t)
			end()
			if code != 0 {
				c.awaitSuccess(t, "", "rotate", "--resume", "--yes")
			}
			assert.NotEqual(t, before, c.checkSettled(t))
			c.checkHealthyStatus(t)
		})
	}
}
