// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// execLimit ends a command on a node that hangs.
const execLimit = time.Minute

// harness runs a command of the harness on this cluster and gives what it prints.
func (c *cluster) harness(t *testing.T, verb []string, args ...string) string {
	t.Helper()
	out, err := c.env.cluster(t.Context(), waitLimit, append(append(verb, "--dir", c.dir), args...)...)
	require.NoError(t, err)
	return string(out)
}

// exec runs a command on a node and gives what it prints. It works in the clean-up of a test as well.
func (c *cluster) exec(t *testing.T, n *node, command ...string) string {
	t.Helper()
	out, err := c.env.cluster(context.WithoutCancel(t.Context()), execLimit,
		append([]string{"exec", "--dir", c.dir, n.name, "--"}, command...)...)
	require.NoError(t, err)
	return string(out)
}

// reboot takes a node its power and switches it on again.
func (c *cluster) reboot(t *testing.T, n *node) {
	t.Helper()
	c.harness(t, []string{"node", "kill"}, n.name)
	c.harness(t, []string{"node", "start"}, n.name)
	c.read(t)
}
