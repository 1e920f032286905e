// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import "testing"

func othersJoin(t *testing.T, c *cluster) {
	c.seed(t)
	t.Run("a key that no configuration has comes back from the history", c.rollBackForgotten)
	t.Run("a key leaves though the plugin is killed at every step", c.pruneKilled)
	t.Run("all that an agent's pod has is needed", c.lackNothing)
	t.Run("control-plane nodes join in the middle of a rotation", c.joinMidway)
}

func othersLeave(t *testing.T, c *cluster) {
	c.seed(t)
	t.Run("a key that one node's history alone has comes back", c.rollBackForgotten)
	t.Run("a key leaves though the plugin is killed at every step", c.pruneKilled)
	t.Run("kube-apiservers that write with keys of their own are brought together", c.repairForeign)
	t.Run("a node reboots in the middle of a rotation", c.rebootMidway)
	t.Run("control-plane nodes leave in the middle of a rotation", c.leaveMidway)
}

func enableWithoutOne(t *testing.T, c *cluster) {
	c.seed(t)
	t.Run("one that is silent is left out, and gets what it lacks by hand", c.enableWithout)
	t.Run("one that leaves in the middle is not waited for", c.enableWhileOneLeaves)
}

func olderNode(t *testing.T, c *cluster) {
	c.seed(t)
	c.repairOlder(t)
}

func olderNodes(t *testing.T, c *cluster) {
	c.seed(t)
	t.Run("one file that is lost", c.repairOlder)
	t.Run("files that all differ", c.repairDifferingOlder)
}
