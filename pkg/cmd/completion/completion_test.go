// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package completion_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/completion"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
)

func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	streams, _, out, _ := genericiooptions.NewTestIOStreams()
	cmd := completion.NewCommand(options.Shared{IOStreams: streams})
	cmd.SetArgs(args)
	cmd.SetOut(io.Discard)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.Execute()
	return out.String(), err
}

func TestInstallLinksToTheProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link := filepath.Join(dir, "kubectl_complete-encryption")
	program, err := os.Executable()
	require.NoError(t, err)

	out, err := execute(t, "install", "--dir", dir)
	require.NoError(t, err)
	assert.Equal(t, link+" linked to "+program+"\n", out)
	target, err := os.Readlink(link)
	require.NoError(t, err)
	assert.Equal(t, program, target)

	out, err = execute(t, "install", "--dir", dir)
	require.NoError(t, err, "a second time is fine")
	assert.Equal(t, link+" is there already\n", out)
}

func TestInstallOverwritesNothing(t *testing.T) {
	t.Parallel()
	for name, occupy := range map[string]func(string) error{
		"a file of somebody's": func(link string) error { return os.WriteFile(link, []byte("mine"), 0o600) },
		"a link to another":    func(link string) error { return os.Symlink("/bin/true", link) },
		"a folder":             func(link string) error { return os.Mkdir(link, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			link := filepath.Join(dir, completion.Executable)
			require.NoError(t, occupy(link))
			before, err := os.Lstat(link)
			require.NoError(t, err)
			_, err = execute(t, "install", "--dir", dir)
			require.EqualError(t, err, link+" exists and is something else")
			assert.Contains(t, hint.Render(err), "--dir")
			after, err := os.Lstat(link)
			require.NoError(t, err)
			assert.Equal(t, before.Mode(), after.Mode())
		})
	}
}

func TestInstallSaysWhereItCannotWrite(t *testing.T) {
	t.Parallel()
	_, err := execute(t, "install", "--dir", filepath.Join(t.TempDir(), "missing"))
	require.ErrorContains(t, err, "make link")
	assert.Contains(t, hint.Render(err), "choose a folder of the PATH that you may write to with --dir")
}

func TestPrintShowsAScript(t *testing.T) {
	t.Parallel()
	out, err := execute(t, "print")
	require.NoError(t, err)
	assert.Equal(t, "#!/usr/bin/env sh\nexec kubectl encryption __complete \"$@\"\n", out)
}
