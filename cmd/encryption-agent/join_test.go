// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agent"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/bundle"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

func TestRun_byHand(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		args        []string
		in          string
		out, errors string
	}{
		{"asked how to call recipient => says so", []string{"recipient", "--help"}, "", "make another key", ""},
		{"asked how to call install => says so", []string{"install", "--help"}, "", "Usage: encryption-agent install [FILE]\n", ""},
		{"asked how to call restore => says so", []string{"restore", "--help"}, "", "Usage: encryption-agent restore\n", ""},
		{"restore with an argument => refused", []string{"restore", "x"}, "", "", `unexpected argument "x"`},
		{"restore of no revision => refused", []string{"restore", "--revision", "-1"}, "", "", "--revision must be the number of a revision"},
		{"restore of a file that is no path => refused", []string{"restore", "--folder", "keys"}, "", "", "it must be an absolute path"},
		{"recipient with an argument => refused", []string{"recipient", "x"}, "", "", `unexpected argument "x"`},
		{"recipient with an unknown flag => refused", []string{"recipient", "--old"}, "", "", "flag provided but not defined"},
		{"install of two files => refused", []string{"install", "a", "b"}, "", "", `unexpected argument "b"`},
		{"install of a file that there is not => refused", []string{"install", "/nosuch/bundle"}, "", "", "read bundle: open /nosuch/bundle: no such file or directory"},
		{"install into a folder that is no path => refused", []string{"install", "--folder", "keys"}, "", "", "it must be an absolute path"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			err := run(t.Context(), tt.args, strings.NewReader(tt.in), &out)
			if tt.errors != "" {
				require.ErrorContains(t, err, tt.errors)
			} else {
				require.NoError(t, err)
			}
			assert.Contains(t, out.String(), tt.out)
		})
	}
}

func TestReadBundle(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "bundle.txt")
	require.NoError(t, os.WriteFile(file, []byte("in a file"), 0o600))
	for name, want := range map[string]string{"": "on stdin", "-": "on stdin", file: "in a file"} {
		text, err := readBundle(t.Context(), name, strings.NewReader("on stdin"))
		require.NoError(t, err)
		assert.Equal(t, want, string(text))
	}
	text, err := readBundle(t.Context(), "", strings.NewReader(strings.Repeat("x", 2*bundle.MaxSize)))
	require.NoError(t, err)
	assert.Len(t, text, bundle.MaxSize+1, "no more is read than is needed to refuse it")
}

func TestReadBundle_waitingIsGivenUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	never, end := io.Pipe()
	defer func() { _ = end.Close() }()
	_, err := readBundle(ctx, "", never)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestReport(t *testing.T) {
	t.Parallel()
	const next = "next: kubeadm join --control-plane, and then look with: kubectl encryption status\n"
	tests := map[string]struct {
		result agent.Installed
		says   string
	}{
		"on a new node": {agent.Installed{Path: "/p", Digest: "sha256:aa"}, "installed /p, sha256:aa\n" + next},
		"once more":     {agent.Installed{Path: "/p", Digest: "sha256:aa", Already: true}, "already installed: /p is sha256:aa\n" + next},
		"on a node that is mended": {
			agent.Installed{
				Path: "/p", Digest: "sha256:aa", Replaced: "sha256:bb", Runs: true,
				Lacking: []encconfig.Key{{Provider: encconfig.AESGCM, Name: "3"}},
			},
			"installed /p, sha256:aa, in place of sha256:bb, which is kept in /etc/kubernetes/kubectl-encryption\n" +
				"warning: what was replaced had keys that are gone now: aesgcm/3\n" +
				"next: the kube-apiserver of this machine reads it when it starts, which the kubelet tries every few minutes; " +
				"look with: kubectl encryption status\n",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.says, report(tt.result))
		})
	}
}
