// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package cmd_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
)

// nowhere is a kubeconfig that there is not, so that a command ends when it looks for the cluster.
const nowhere = "/nonexistent/kubeconfig"

// Whatever keeps a command from its work, a program that reads its events is told that it ended, and why.
func TestEventsEndWhicheverWayACommandEnds(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"rotate", "enable", "disable", "migrate --resources secrets", "repair", "rollback --to 3", "prune",
		"rotate --abort", "rotate --keep 0", "enable --provider rot13", "disable --rollback-after 1s", "migrate", "repair --job-timeout 0s",
		"rollback", "rollback --to 3 --resume", "prune --history", "prune --key a --keep 3",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			root, out := newRoot()
			root.SetArgs(append(strings.Fields(line), "-o", "json", "--kubeconfig", nowhere))
			err := root.Execute()
			require.Error(t, err)
			lines := strings.Split(strings.TrimSpace(out()), "\n")
			var last struct{ Event, Error string }
			require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &last), out())
			assert.Equal(t, "failed", last.Event)
			assert.Equal(t, err.Error(), last.Error)
		})
	}
}

// A command whose -o json prints one document, or that has none, prints no event.
func TestOnlyStreamsHaveALastEvent(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"status -o json", "verify -o json", "history -o json", "rotate", "join --recipient x"} {
		root, out := newRoot()
		root.SetArgs(append(strings.Fields(line), "--kubeconfig", nowhere))
		require.Error(t, root.Execute())
		assert.Empty(t, out(), line)
	}
}

func TestEveryCommandThatPrintsEventsIsMarked(t *testing.T) {
	t.Parallel()
	root, _ := newRoot()
	each(root, func(c *cobra.Command) {
		if f := c.Flags().Lookup("output"); f != nil {
			assert.Equal(t, strings.Contains(f.Usage, "one event per line"), len(c.Annotations) > 0, c.CommandPath())
		}
	})
}

func TestHintsReachTheSameCluster(t *testing.T) {
	t.Parallel()
	root, out := newRoot()
	root.SetArgs([]string{"rollback", "-o", "json", "--kubeconfig", nowhere, "--context", "prod", "--token", "canary"})
	err := root.Execute()
	const want = "see what there is with: kubectl encryption --kubeconfig " + nowhere + " --context prod history"
	assert.Contains(t, hint.Render(err), want)
	assert.Contains(t, out(), want)
	assert.NotContains(t, hint.Render(err)+out(), "canary")
}
