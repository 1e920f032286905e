// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// joinNode lets a further control-plane node join as an administrator does: the agent is run by hand there.
func (c *cluster) joinNode(t *testing.T) {
	first := c.nodes[0]
	name := strings.TrimSpace(c.harness(t, []string{"node", "add"}))
	second := &node{name: name, root: filepath.Join(filepath.Dir(first.root), name)}
	agent := c.copyAgent(t, second)
	recipient := strings.TrimSpace(c.exec(t, second, agent, "recipient"))
	require.NotEmpty(t, recipient)
	assert.Equal(t, recipient, strings.TrimSpace(c.exec(t, second, agent, "recipient")), "a key is made once")

	bundle := c.succeed(t, "join", "--recipient", recipient).stdout
	c.checkNothingLeft(t)
	search(t, "the bundle", []byte(bundle), needles(t, c.writeKey(t)))
	c.refuseBundle(t, second, agent, strings.Replace(bundle, "\n", "\nx", 1))
	c.install(t, second, agent, bundle)
	require.Equal(t, string(first.read(t)), string(second.read(t)), "the new node has the agreed file")
	second.checkFiles(t)

	c.harness(t, []string{"node", "join"}, name)
	c.read(t)
	require.Len(t, c.nodes, 2)
	c.awaitCalm(t)
	c.checkEncrypted(t, both("aesgcm"))
	c.checkMany(t)
	t.Run("a rotation works on both nodes", c.rotateAll)
	assert.NotEmpty(t, encryptionIn(t, c.regenerated(t, c.nodes[1])).flags, "kubeadm gives the new node the flags again")
}

func (c *cluster) rotateAll(t *testing.T) {
	before := c.writeKey(t)
	end := c.readAlways(t)
	c.succeed(t, "rotate", "--yes")
	end()
	assert.NotEqual(t, before, c.checkSettled(t))
}

// copyAgent puts the agent's program on a node and gives its path there.
func (c *cluster) copyAgent(t *testing.T, n *node) string {
	t.Helper()
	const path = "/root/encryption-agent"
	data, err := os.ReadFile(c.env.agent)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(n.root, "root"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(n.root, path), data, 0o700))
	return path
}

const bundlePath = "/root/bundle"

func (c *cluster) install(t *testing.T, n *node, agent, bundle string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(n.root, bundlePath), []byte(bundle), 0o600))
	t.Log(c.exec(t, n, agent, "install", bundlePath))
}

// refuseBundle requires that a bundle which was changed on its way is refused and changes nothing.
func (c *cluster) refuseBundle(t *testing.T, n *node, agent, bundle string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(n.root, bundlePath), []byte(bundle), 0o600))
	_, err := c.env.cluster(t.Context(), execLimit, "exec", "--dir", c.dir, n.name, "--", agent, "install", bundlePath)
	var refused *harnessError
	require.ErrorAs(t, err, &refused)
	t.Log(refused.output)
	assert.NoFileExists(t, n.configFile())
}
