// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseMounts(t *testing.T) {
	t.Parallel()
	const table = `22 1 254:0 / / rw - ext4 /dev/vda rw
30 29 0:26 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup none rw,cpu
31 29 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup none rw,memory
32 29 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 none rw
33 29 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup none rw,cpu
34 29 0:26 / /elsewhere/cpu rw,relatime - cgroup none rw,cpu
`
	assert.Equal(t,
		[]string{"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"},
		parseMounts(table, "/sys/fs/cgroup"))
}

// A folder of plain files stands for a hierarchy: what is tested is which
// files are written, not what the kernel makes of them.
func TestCreate_version1CopiesProcessors(t *testing.T) {
	t.Parallel()
	mount := t.TempDir()
	node := filepath.Join(mount, "cluster", "n1")
	require.NoError(t, os.MkdirAll(node, 0o755))
	for folder, cpus := range map[string]string{mount: "0-1\n", filepath.Dir(node): "\n", node: "\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, "cpuset.cpus"), []byte(cpus), 0o600))
	}

	tree := Tree{Version: 1, mounts: []string{mount}}
	require.NoError(t, tree.Create("cluster/n1"))

	content, err := os.ReadFile(filepath.Join(node, "cpuset.cpus"))
	require.NoError(t, err)
	assert.Equal(t, "0-1\n", string(content))
	assert.DirExists(t, filepath.Join(node, systemGroup))
}

func TestCreate_version2HandsControllersOn(t *testing.T) {
	t.Parallel()
	mount := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(mount, "cgroup.controllers"), []byte("memory\n"), 0o600))

	tree := Tree{Version: 2, mounts: []string{mount}}
	require.NoError(t, tree.Create("cluster/n1"))

	content, err := os.ReadFile(filepath.Join(mount, "cgroup.subtree_control"))
	require.NoError(t, err)
	assert.Equal(t, "+memory", string(content))
}

func TestJoinMembersAndRemove(t *testing.T) {
	t.Parallel()
	mount := t.TempDir()
	tree := Tree{Version: 1, mounts: []string{mount}}
	require.NoError(t, tree.Create("cluster/n1"))
	require.NoError(t, tree.Join("cluster/n1", os.Getpid()))
	assert.Equal(t, []int{os.Getpid()}, tree.Members("cluster"))
	members := filepath.Join(mount, "cluster/n1", systemGroup, "cgroup.procs")
	content, err := os.ReadFile(members)
	require.NoError(t, err)
	assert.Equal(t, strconv.Itoa(os.Getpid()), string(content))

	require.NoError(t, os.Remove(members))
	require.NoError(t, tree.Remove(t.Context(), "cluster"))
	assert.Empty(t, tree.Left("cluster"))
	assert.NoError(t, tree.Remove(t.Context(), "cluster"), "removing it again is no error")
}
