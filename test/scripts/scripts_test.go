// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scripts_test runs the program as its users do, by scripts that need no cluster, and holds the documents
// against the code.
package scripts_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/completion"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/snapshot/snapshottest"
)

var update = flag.Bool("update", false, "write golden files and the flag tables of README.md anew")

// corpus has values that kube-apiservers have stored, with the keys of verify.txtar.
const corpus = "../../pkg/stored/testdata/corpus.jsonl"

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
	bin, backup, hostile := build(t), snapshottest.Snapshot(t, storedValues(t)), snapshottest.Snapshot(t, hostileValues(t))
	testscript.Run(t, testscript.Params{
		Dir: "testdata", UpdateScripts: *update, RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv("BIN", bin)
			env.Setenv("HOME", "/no-home")
			env.Setenv("KUBECONFIG", filepath.Join(env.WorkDir, "no-server.yaml"))
			return errors.Join(
				os.WriteFile(filepath.Join(env.WorkDir, "no-server.yaml"), []byte(noServer), 0o600),
				os.WriteFile(filepath.Join(env.WorkDir, "etcd.db"), backup, 0o600),
				os.WriteFile(filepath.Join(env.WorkDir, "hostile.db"), hostile, 0o600),
			)
		},
	})
}

// storedValues are values as real kube-apiservers stored them, one for each provider, and what somebody else wrote into etcd.
func storedValues(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile(corpus)
	require.NoError(t, err)
	values := map[string]string{"compact_rev_key": "1"}
	for line := range bytes.Lines(data) {
		var sample struct {
			Path  string `json:"path"`
			Value []byte `json:"value"`
		}
		require.NoError(t, json.Unmarshal(line, &sample))
		if !strings.HasSuffix(sample.Path, "/colon") { // a name that this program takes for no key
			values[sample.Path] = string(sample.Value)
		}
	}
	values["/registry/secrets/default/\x1b[2J\u202eevil\xff"] = values["/registry/secrets/default/identity"]
	values["/registry/secrets/default/moved"] = values["/registry/secrets/default/aesgcm"]
	for i := range 5 {
		values[fmt.Sprintf("/registry/gadgets%d.example.com/parts/a", i)] = values["/registry/example.com/widgets/default/identity"]
	}
	return values
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
