// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"
)

// environment is where the tests find what they need.
type environment struct {
	// plugin, agent and harness are programs, agentImage is the archive that is loaded on the nodes.
	plugin, agent, harness, agentImage string
	// variables are those that the plugin is run with, besides the test's own, as NAME=VALUE.
	variables []string
	// dir holds the folders of the clusters.
	dir string
	// depth is how much is proven.
	depth depth
	// keep leaves clusters running.
	keep bool
	// room is held by clusters while they are there, each for its nodes: where more of them share two processors,
	// everything takes longer than its limits.
	room *semaphore.Weighted
	// starting is held while a cluster starts: two at a time take longer than one after the other.
	starting *sync.Mutex
}

// depth is how much of the tests is run. Each one has all of those before it.
type depth int

const (
	// inShort is in what `make test` runs: each command of the plugin does its work once on a real cluster.
	inShort depth = iota
	// inFull is in `make test-e2e`: what can happen to it meanwhile, and what it has to refuse.
	inFull
	// inThorough is in `make test-thorough`: every step where the others go through the whole once, and what takes long.
	inThorough
)

func depthOf(t *testing.T, name string) depth {
	t.Helper()
	depths := map[string]depth{"short": inShort, "full": inFull, "thorough": inThorough}
	require.Contains(t, depths, name, "E2E_DEPTH")
	return depths[name]
}

// mostNodes is how many nodes are there at the same time.
const mostNodes = 6

func newEnvironment(t *testing.T) environment {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	env := environment{
		plugin:     lookup("E2E_PLUGIN", filepath.Join(root, "bin", "kubectl-encryption")),
		agent:      lookup("E2E_AGENT", filepath.Join(root, "bin", "encryption-agent")),
		harness:    filepath.Join(root, "_output", "bin", "cluster"),
		agentImage: lookup("E2E_AGENT_IMAGE", filepath.Join(root, "_output", "encryption-agent.tar")),
		dir:        lookup("E2E_DIR", filepath.Join(root, "_output", "e2e")),
		keep:       os.Getenv("E2E_KEEP") != "",
		depth:      depthOf(t, lookup("E2E_DEPTH", "full")),
		room:       semaphore.NewWeighted(mostNodes),
		starting:   &sync.Mutex{},
	}
	for _, file := range []string{env.plugin, env.agent, env.harness, env.agentImage} {
		require.FileExists(t, file, "make build makes it")
	}
	require.NoError(t, os.MkdirAll(env.dir, 0o755))
	return env
}

func lookup(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// cluster runs the harness and returns what it prints on standard output.
func (e environment) cluster(ctx context.Context, limit time.Duration, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, e.harness, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return nil, &harnessError{args: args, err: err, output: out.String() + errOut.String()}
	}
	return out.Bytes(), nil
}

// harnessError is the harness's failure with its output.
type harnessError struct {
	args   []string
	err    error
	output string
}

func (e *harnessError) Error() string {
	return "cluster " + filepath.Join(e.args...) + ": " + e.err.Error() + "\n" + e.output
}

func (e *harnessError) Unwrap() error { return e.err }
