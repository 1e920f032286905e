// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package cmd_test

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd"
)

func newRoot() (root *cobra.Command, out func() string) {
	streams, _, stdout, _ := genericiooptions.NewTestIOStreams()
	return cmd.NewRoot(streams, func(string) (string, bool) { return "", false }), stdout.String
}

// each visits every command.
func each(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		each(sub, visit)
	}
}

func TestEveryCommandAndFlagIsExplained(t *testing.T) {
	t.Parallel()
	root, _ := newRoot()
	each(root, func(c *cobra.Command) {
		assert.NotEmpty(t, c.Short, c.CommandPath())
		assert.False(t, strings.HasSuffix(c.Short, "."), c.CommandPath())
		assert.NotNil(t, c.RunE, c.CommandPath())
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			assert.NotEmpty(t, f.Usage, "%s --%s", c.CommandPath(), f.Name)
		})
	})
}

// Every line that an example shows is a command line that the program reads.
func TestEveryExampleIsUnderstood(t *testing.T) {
	t.Parallel()
	root, _ := newRoot()
	var lines []string
	each(root, func(c *cobra.Command) {
		for line := range strings.Lines(c.Example) {
			if after, ok := strings.CutPrefix(strings.TrimSpace(line), "kubectl encryption "); ok {
				before, _, _ := strings.Cut(after, " >")
				lines = append(lines, before)
			}
		}
	})
	require.NotEmpty(t, lines)
	for _, line := range lines {
		fresh, _ := newRoot()
		c, rest, err := fresh.Find(strings.Fields(line))
		require.NoError(t, err, line)
		require.NotEqual(t, fresh, c, line)
		require.NoError(t, c.ParseFlags(rest), line)
		assert.NoError(t, c.ValidateArgs(c.Flags().Args()), line)
	}
}

func TestHelpIsPrintedAsOutput(t *testing.T) {
	t.Parallel()
	for args, says := range map[string]string{
		"":                 "Manage encryption at rest",
		"enable --help":    "The way back is on the node",
		"disable --help":   "every key stays as a read key",
		"rotate --help":    "124 a kube-apiserver has not loaded its file in time",
		"status --help":    "It changes nothing and starts nothing on the nodes",
		"migrate --help":   "the exit code is then 1",
		"version --help":   "--client",
		"completion":       "kubectl_complete-encryption",
		"completion print": "__complete",
	} {
		root, out := newRoot()
		root.SetArgs(strings.Fields(args))
		require.NoError(t, root.Execute(), args)
		assert.Contains(t, out(), says, args)
	}
}

func TestWordsThatNobodyKnowsAreErrors(t *testing.T) {
	t.Parallel()
	for args, message := range map[string]string{
		"rotat":                   "unknown command",
		"rotate now":              "unknown command",
		"rotate --kep 3":          "unknown flag: --kep",
		"rotate --keep many":      "invalid argument",
		"migrate":                 "--resources must name what to migrate",
		"rotate --keep 1":         "--keep must be at least 2",
		"enable --provider rot13": `unknown provider "rot13"`,
		"enable --provider kms":   `unknown provider "kms"`,
		"enable --resources *":    `"*." stands for the core group`,
		"enable --resources events.events.k8s.io": "events.events.k8s.io",
		"enable --config-dir etc":                 "must be an absolute path",
		"enable --config-dir /etc/kubernetes/":    "in a folder of its own",
		"enable --rollback-after 1s":              "--rollback-after must be from 10s",
		"enable --keep 1":                         "--keep must be at least 2",
		"enable --resume --provider aesgcm":       "--resume goes on with what was asked for",
		"enable --output yaml":                    "--output yaml is for --dry-run",
		"disable --remove-flags --resources pods": "it goes without --resources",
		"disable --resume --remove-flags":         "--resume goes on with what was asked for",
		"disable --rollback-after 2h":             "--rollback-after must be from 10s to 1h0m0s",
		"status -o nonsense":                      "nonsense",
		"version -o nonsense":                     "nonsense",
		"completion install now":                  "unknown command",
	} {
		root, out := newRoot()
		root.SetArgs(append(strings.Fields(args), "--kubeconfig=/nonexistent"))
		if strings.HasPrefix(args, "version") {
			root.SetArgs(append(strings.Fields(args), "--client"))
		}
		err := root.Execute()
		require.Error(t, err, args)
		require.ErrorContains(t, err, message, args)
		assert.Empty(t, out(), "usage is not dumped")
	}
}
