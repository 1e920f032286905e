// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import "testing"

// thorough is what has clusters of its own and takes long.
func thorough(t *testing.T, env environment) {
	t.Run("one node that others join", func(t *testing.T) {
		t.Parallel()
		c := env.start(t, shape{name: "grows", nodes: 1, joins: 2, encryption: "aesgcm", reloadPoll: fast, compaction: soon})
		c.seed(t)
		t.Run("a key that no configuration has comes back from the history", c.rollBackForgotten)
		t.Run("a key leaves though the plugin is killed at every step", c.pruneKilled)
		t.Run("all that an agent's pod has is needed", c.lackNothing)
		t.Run("control-plane nodes join in the middle of a rotation", c.joinMidway)
	})
	t.Run("three nodes that others leave", func(t *testing.T) {
		t.Parallel()
		c := env.start(t, shape{name: "shrinks", nodes: 3, encryption: "aesgcm", reloadPoll: fast, compaction: soon})
		c.seed(t)
		t.Run("a key that one node's history alone has comes back", c.rollBackForgotten)
		t.Run("a key leaves though the plugin is killed at every step", c.pruneKilled)
		t.Run("kube-apiservers that write with keys of their own are brought together", c.repairForeign)
		t.Run("a node reboots in the middle of a rotation", c.rebootMidway)
		t.Run("control-plane nodes leave in the middle of a rotation", c.leaveMidway)
	})
	t.Run("three nodes that are plaintext, one without power", func(t *testing.T) {
		t.Parallel()
		c := env.start(t, shape{name: "enable-2-of-3", nodes: 3, encryption: "none", reloadPoll: fast, compaction: soon})
		c.seed(t)
		c.enableWithout(t)
	})
	t.Run("an older Kubernetes", func(t *testing.T) {
		t.Parallel()
		env.buildOlder(t)
		t.Run("one node", func(t *testing.T) {
			c := env.start(t, shape{name: "older", nodes: 1, encryption: "aesgcm", reloadPoll: fast, kubernetes: older})
			c.seed(t)
			c.repairOlder(t)
		})
		t.Run("three nodes", func(t *testing.T) {
			c := env.start(t, shape{name: "older-3", nodes: 3, encryption: "aesgcm", reloadPoll: fast, kubernetes: older})
			c.seed(t)
			t.Run("one file that is lost", c.repairOlder)
			t.Run("files that all differ", c.repairDifferingOlder)
		})
	})
}
