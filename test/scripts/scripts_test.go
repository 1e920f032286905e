// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scripts_test runs the program as its users do, by scripts that need no cluster, and holds the documents
// against the code.
package scripts_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/completion"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

var update = flag.Bool("update", false, "write golden files and the flag tables of README.md anew")

// noServer is a kubeconfig whose server is a port where nothing listens.
const noServer = `apiVersion: v1
kind: Config
current-context: lost
contexts: [{name: lost, context: {cluster: lost, user: somebody}}]
clusters: [{name: lost, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: somebody, user: {token: made-up}}]
`

// TestScripts runs every script in testdata. The program is the real one, in a folder of its own on the PATH.
func TestScripts(t *testing.T) {
	bin := build(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata", UpdateScripts: *update, RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv("BIN", bin)
			env.Setenv("HOME", "/no-home")
			env.Setenv("KUBECONFIG", filepath.Join(env.WorkDir, "no-server.yaml"))
			return os.WriteFile(filepath.Join(env.WorkDir, "no-server.yaml"), []byte(noServer), 0o600)
		},
	})
}

// build makes the program as users get it, but without a version, and the link that completion needs.
func build(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	program := filepath.Join(bin, project.Name)
	command := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", program, "../../cmd/"+project.Name)
	command.Env = append(os.Environ(), "CGO_ENABLED=0") // as the Makefile has it, so that what it built is used again
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoError(t, os.Symlink(program, filepath.Join(bin, completion.Executable)))
	return bin
}
