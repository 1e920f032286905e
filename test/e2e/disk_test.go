// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fillDisk turns encryption on. Each time a step begins that writes on the node, and that none has begun before, the disk
// is full until the run has ended.
func (c *cluster) fillDisk(t *testing.T) {
	c.useSmallDisk(t, c.nodes[0])
	stages := []string{"add-read-key", "edit-manifest", "await-edit", "promote"}
	met := c.disturbEveryStep(t, []string{"enable"}, stages, func(t *testing.T, p *process, e event) int {
		filler := filepath.Join(c.nodes[0].root, "etc", "kubernetes", "filler")
		size := fill(t, filler)
		code := p.wait(t)
		require.NoError(t, os.Remove(filler))
		t.Logf("%d bytes filled the disk at %s: exit code %d", size, e.Stage, code)
		assert.Contains(t, []int{0, 1, 124}, code, "%s", &p.stderr)
		c.awaitCalm(t)
		return code
	})
	assert.Subset(t, met, stages, "stages at which the disk was full")
	c.checkEncrypted(t, both("aesgcm"))
}

// useSmallDisk puts the node's /etc/kubernetes on a file system of its own. It stays there until the node ends. No
// container may read a file in it that changes later: it would go on with the one that it has mounted.
func (c *cluster) useSmallDisk(t *testing.T, n *node) {
	t.Helper()
	c.exec(t, n, "sh", "-ec", `
		mount -t tmpfs -o size=2m,mode=755 tmpfs /mnt
		cp -a /etc/kubernetes/. /mnt/
		mount --bind /mnt /etc/kubernetes
		umount /mnt`)
	// It is mounted where the node's processes see it, and nobody else.
	n.root = fmt.Sprintf("/proc/%d/root", n.pid)
}

// fill writes a file until there is no room left, and gives its size.
func fill(t *testing.T, path string) int64 {
	t.Helper()
	file, err := os.Create(path)
	require.NoError(t, err)
	defer func() { assert.NoError(t, file.Close()) }()
	const page = 4096
	var size int64
	for {
		n, err := file.Write(make([]byte, page))
		size += int64(n)
		if errors.Is(err, syscall.ENOSPC) {
			return size
		}
		require.NoError(t, err)
	}
}
