// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRun_guard(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		args        []string
		out, errors string
	}{
		{"asked how to call it => says so", []string{"guard", "--help"}, "Usage: encryption-agent guard\n", ""},
		{"no run => refused", []string{"guard"}, "", `"" is not the identifier of a run`},
		{"an argument => refused", []string{"guard", "--run", "a", "x"}, "", `unexpected argument "x"`},
		{"outside its pod => refused", []string{"guard", "--run", "a"}, "", "open the manifests folder: no such file or directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			err := run(t.Context(), tt.args, nil, &out)
			if tt.errors != "" {
				require.ErrorContains(t, err, tt.errors)
			} else {
				require.NoError(t, err)
			}
			assert.Contains(t, out.String(), tt.out)
		})
	}
}

func TestBootFile_isThere(t *testing.T) {
	t.Parallel()
	boot, err := os.ReadFile(bootFile)
	require.NoError(t, err)
	assert.Regexp(t, `^[0-9a-f-]{36}\n$`, string(boot))
}
