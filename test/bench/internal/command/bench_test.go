// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/command"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
)

func execute(t *testing.T, args ...string) error {
	t.Helper()
	cmd := command.New()
	cmd.SetArgs(args)
	cmd.SetOut(&bytes.Buffer{})
	cmd.SetErr(&bytes.Buffer{})
	return cmd.ExecuteContext(t.Context())
}

func TestBench_refusesWhatItCantDoBeforeItStartsAnything(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bench")
	assert.ErrorContains(t, execute(t, "--dir", dir, "--only", "rounds,nonsense"), `no series is called "nonsense"`)
	assert.Error(t, execute(t, "--dir", dir, "--rounds", "-1"))
	assert.NoDirExists(t, dir)
}

func TestVerify_refusesWhatItCantDoBeforeItStartsAnything(t *testing.T) {
	dir, program := filepath.Join(t.TempDir(), "bench"), filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(program, nil, 0o600))
	flags := []string{"verify", "--dir", dir, "--agent", program, "--plugin", program}
	assert.ErrorContains(t, execute(t, append(flags, "--rounds", "0")...), "not 0 rounds")
	assert.ErrorContains(t, execute(t, append(flags, "--values", "7,0")...), "there can't be 0 values")
	assert.ErrorContains(t, execute(t, append(flags, "--plugin", program+"-not")...), "make build")
	assert.NoDirExists(t, dir)
}

func TestBench_rendersWhatWasMeasuredBefore(t *testing.T) {
	dir := t.TempDir()
	data, err := json.Marshal(result.Results{Date: "2026-11-21T10:00:00Z"})
	require.NoError(t, err)
	file := filepath.Join(dir, "old.json")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	require.NoError(t, execute(t, "--dir", dir, "--from", file))
	assert.FileExists(t, filepath.Join(dir, "results.md"))
}
