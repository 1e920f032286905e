// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/wait"
)

// pruneKilled takes a key out, and is killed at each step and in the push. Before anything is on record the same command goes
// on; from then on --resume does.
func (c *cluster) pruneKilled(t *testing.T) {
	old := c.writeKey(t)
	c.succeed(t, "rotate", "--yes")
	write := c.checkSettled(t)
	end := c.readAlways(t)
	command, resume := []string{"prune", "--key", old.String(), "--wait", "--yes"}, []string{"prune", "--resume", "--yes"}

	c.killAt(t, "prove", command...)
	c.checkHave(t, old)
	c.killAt(t, "prune", command...)
	c.checkHave(t, old)
	c.refuseAfterKill(t, "the prune that began", "rotate", "--yes")
	p := c.begin(t, resume...)
	c.killWhenChanged(t, p, "prune", fileOf)
	if c.killAt(t, "await|close", resume...) == "await" { // a file that was replaced whole may be loaded by now
		c.killAt(t, "close", resume...)
	}
	c.succeed(t, resume...)
	end()

	assert.Equal(t, write, c.checkSettled(t))
	for _, n := range c.nodes {
		assert.NotContains(t, n.keys(t), old, "%s", n.name)
		c.checkHistory(t, n, []key{old})
	}
	assert.Contains(t, c.succeed(t, resume...).stderr, "no prune is under way")
	c.checkHealthyStatus(t) // what is proven of the data stays so
	t.Run("and out of the histories", func(t *testing.T) { c.destroyKilled(t, old) })
}

// destroyKilled removes a key from the histories, and is killed at each step and in the middle of one. The same command goes on.
func (c *cluster) destroyKilled(t *testing.T, k key) {
	command := []string{"prune", "--key", k.String(), "--history", "--yes"}
	files := c.digests(t)
	c.killAt(t, "prove", command...)
	c.killAt(t, "forget", command...)
	p := c.begin(t, command...)
	c.killWhenChanged(t, p, "forget", revisionsOf)
	r := c.plugin(t, command...)
	if r.code != 0 { // the run that was killed has come to its end on the nodes
		assert.Contains(t, r.stderr, "no node has a key "+k.String())
	}
	for _, n := range c.nodes {
		assert.NotContains(t, n.history(t), k.secret, "the history of %s", n.name)
	}
	assert.Equal(t, files, c.digests(t), "no file of a configuration is changed")
	c.succeed(t, "migrate", "--resources", "secrets,configmaps") // it removes what a killed run has left that a refused one after it did not come to
	c.checkHealthyStatus(t)
	c.checkSettled(t)
}

// killAt runs the plugin and kills it when it begins a stage, the first of several that a bar separates.
func (c *cluster) killAt(t *testing.T, stages string, args ...string) (stage string) {
	t.Helper()
	p := c.begin(t, args...)
	e, ok := p.until(func(e event) bool {
		return e.Event == "step-started" && slices.Contains(strings.Split(stages, "|"), e.Stage)
	})
	require.True(t, ok, "%v comes to %s: %s", args, stages, &p.stderr)
	p.kill(t)
	t.Logf("%v was killed at %s", args, e.Stage)
	return e.Stage
}

// killWhenChanged kills the plugin as soon as something of any node is not as it was when a stage began.
func (c *cluster) killWhenChanged(t *testing.T, p *process, stage string, of func(t *testing.T, n *node) string) {
	t.Helper()
	_, ok := p.until(func(e event) bool { return e.starts(stage) })
	require.True(t, ok, "it comes to %s: %s", stage, &p.stderr)
	now := func() (list []string) {
		for _, n := range c.nodes {
			list = append(list, of(t, n))
		}
		return list
	}
	before := now()
	const often = time.Millisecond
	require.NoError(t, wait.PollUntilContextTimeout(t.Context(), often, waitLimit, true, func(context.Context) (bool, error) {
		return !slices.Equal(before, now()), nil
	}))
	p.kill(t)
	t.Logf("killed in the middle of %s", stage)
}

// fileOf and revisionsOf are what killWhenChanged looks at: the file, and which revisions there are.
func fileOf(t *testing.T, n *node) string { return digest(n.read(t)) }

func revisionsOf(t *testing.T, n *node) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(n.historyFolder(), "*.yaml"))
	require.NoError(t, err)
	return strings.Join(files, " ")
}

// checkHave requires that all nodes have a key in their files.
func (c *cluster) checkHave(t *testing.T, k key) {
	t.Helper()
	for _, n := range c.nodes {
		assert.Contains(t, n.keys(t), k, "%s", n.name)
	}
}

// refuseAfterKill requires that the plugin is refused in certain words, in a cluster where a run was killed a moment ago: its
// Lease is there, and may be its Jobs.
func (c *cluster) refuseAfterKill(t *testing.T, says string, args ...string) {
	t.Helper()
	before := c.digests(t)
	r := c.plugin(t, args...)
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.stderr, says)
	assert.Equal(t, before, c.digests(t), "no file is changed")
}
