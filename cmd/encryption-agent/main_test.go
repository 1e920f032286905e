// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/version"
)

func TestRun_arguments(t *testing.T) {
	t.Parallel()
	node := []string{"--node", "n1", "--run", "run-1", "--config", "config.yaml"}
	tests := []struct {
		name        string
		args        []string
		out, errors string
	}{
		{"asked for its version => prints it", []string{"--version"}, version.Get().Version + "\n", ""},
		{"asked for help => prints the flags", []string{"--help"}, "-config", ""},
		{"no node => refused", nil, "", `"" is not the name of a node`},
		{"an unknown flag => refused", []string{"--key", "x"}, "", "flag provided but not defined"},
		{"an argument => refused", append(node, "x"), "", `unexpected argument "x"`},
		{"a file elsewhere => refused", []string{"--node", "n1", "--run", "run-1", "--config", "../x"}, "", "not the name of a configuration file"},
		{"no input => ends", node, "", ""},
		{"a time to wait => taken", append(slices.Clip(node), "--idle=2m"), "", ""},
		{"a time to wait that is none => refused", []string{"--idle=soon"}, "", "invalid value"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			err := run(t.Context(), tt.args, strings.NewReader(""), &out)
			if tt.errors != "" {
				require.ErrorContains(t, err, tt.errors)
				return
			}
			require.NoError(t, err)
			assert.Contains(t, out.String(), tt.out)
		})
	}
}

func TestHarden_closesTheProcess(t *testing.T) {
	require.NoError(t, harden())
	dumpable, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_GET_DUMPABLE, 0, 0)
	require.Zero(t, errno)
	assert.Zero(t, dumpable)
	limits, err := os.ReadFile("/proc/self/limits")
	require.NoError(t, err)
	assert.Regexp(t, `Max core file size +0 +0 `, string(limits))
}
