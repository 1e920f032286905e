// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package deps

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPresent(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tool")
	assert.False(t, present(file))
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	assert.True(t, present(file))
	assert.True(t, present("sh"), "a name is looked for where root has its programs")
	assert.False(t, present("no-such-program"))
}

func TestEnoughInotify(t *testing.T) {
	t.Parallel()
	require.NoError(t, enoughInotify(128, 0, 3))
	require.NoError(t, enoughInotify(128, 128-inotifyPerNode, 1), "just enough")
	require.ErrorContains(t, enoughInotify(128, 105, 1), "128, of which 105 are in use")
}

func TestCountInotify(t *testing.T) {
	t.Parallel()
	proc := t.TempDir()
	for process, target := range map[string]string{"1": "anon_inode:inotify", "22": "anon_inode:inotify", "3": "socket:[7]", "self": "anon_inode:inotify"} {
		require.NoError(t, os.MkdirAll(filepath.Join(proc, process, "fd"), 0o755))
		require.NoError(t, os.Symlink(target, filepath.Join(proc, process, "fd", "4")))
	}
	assert.Equal(t, 2, countInotify(proc))
}
