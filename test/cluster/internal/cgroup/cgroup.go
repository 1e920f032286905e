// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cgroup keeps the control groups of a node apart from those of the
// machine and of every other node: a kubelet takes away what it finds below
// its root and does not know.
package cgroup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/wait"
)

// Tree is what the machine has of control groups: one hierarchy (version 2)
// or one for each controller (version 1).
type Tree struct {
	// Version is 1 or 2.
	Version int
	mounts  []string
}

// systemGroup holds the node's own programs. On version 2 a group with
// members cannot hand its controllers on to groups below it, so that the
// node's group itself stays empty.
const systemGroup = "system"

// Detect finds out how this machine has its control groups.
func Detect() (Tree, error) {
	const root = "/sys/fs/cgroup"
	var fs unix.Statfs_t
	if err := unix.Statfs(root, &fs); err != nil {
		return Tree{}, fmt.Errorf("look at %s: %w", root, err)
	}
	if fs.Type == unix.CGROUP2_SUPER_MAGIC {
		return Tree{Version: 2, mounts: []string{root}}, nil
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return Tree{}, fmt.Errorf("list mounts: %w", err)
	}
	mounts := parseMounts(string(table), root)
	if len(mounts) == 0 {
		return Tree{}, errors.New("find control groups: none is mounted below " + root)
	}
	return Tree{Version: 1, mounts: mounts}, nil
}

// parseMounts picks the mount points of control groups out of a mountinfo
// table: the fifth field of a line, where the first after " - " is the type.
func parseMounts(table, below string) []string {
	var mounts []string
	for line := range strings.Lines(table) {
		fields, kind, found := strings.Cut(line, " - ")
		parts := strings.Fields(fields)
		if !found || len(parts) < 5 || !strings.HasPrefix(kind, "cgroup") {
			continue
		}
		if point := parts[4]; strings.HasPrefix(point, below+"/") && !slices.Contains(mounts, point) {
			mounts = append(mounts, point)
		}
	}
	return mounts
}

// Create makes the group name, a path such as "cluster/node", everywhere.
func (t Tree) Create(name string) error {
	for _, mount := range t.mounts {
		path := mount
		for part := range strings.SplitSeq(filepath.Join(name, systemGroup), "/") {
			if err := t.delegate(path); err != nil {
				return err
			}
			path = filepath.Join(path, part)
			if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
				return fmt.Errorf("make control group: %w", err)
			}
			if err := inheritCPUs(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// delegate lets the groups below path use every controller that it has.
// Version 1 has nothing of the kind.
func (t Tree) delegate(path string) error {
	available, err := os.ReadFile(filepath.Join(path, "cgroup.controllers"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list controllers: %w", err)
	}
	for controller := range strings.FieldsSeq(string(available)) {
		if err := os.WriteFile(filepath.Join(path, "cgroup.subtree_control"), []byte("+"+controller), 0o644); err != nil {
			return fmt.Errorf("hand on controller %s: %w", controller, err)
		}
	}
	return nil
}

// inheritCPUs copies what a new cpuset of version 1 does not take over: until
// it has processors and memory of its own, no process can enter it.
func inheritCPUs(path string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		own, err := os.ReadFile(filepath.Join(path, file))
		if err != nil || strings.TrimSpace(string(own)) != "" {
			continue
		}
		above, err := os.ReadFile(filepath.Join(filepath.Dir(path), file))
		if err != nil {
			continue // version 2: the root has no such file and a group inherits
		}
		if err := os.WriteFile(filepath.Join(path, file), above, 0o644); err != nil {
			return fmt.Errorf("give control group its processors: %w", err)
		}
	}
	return nil
}

// Join moves the process pid into the group.
func (t Tree) Join(name string, pid int) error {
	for _, mount := range t.mounts {
		members := filepath.Join(mount, name, systemGroup, "cgroup.procs")
		if err := os.WriteFile(members, []byte(strconv.Itoa(pid)), 0o644); err != nil {
			return fmt.Errorf("enter control group: %w", err)
		}
	}
	return nil
}

// Members lists the processes in the group and in all below it.
func (t Tree) Members(name string) []int {
	var pids []int
	for _, mount := range t.mounts {
		for _, group := range below(filepath.Join(mount, name)) {
			members, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
			if err != nil {
				continue
			}
			for member := range strings.FieldsSeq(string(members)) {
				if pid, err := strconv.Atoi(member); err == nil && !slices.Contains(pids, pid) {
					pids = append(pids, pid)
				}
			}
		}
	}
	return pids
}

// Remove takes the group away with all below it, as soon as the kernel lets
// go of it. A group that is gone is no error.
func (t Tree) Remove(ctx context.Context, name string) error {
	return wait.Until(ctx, "control group "+name+" to be empty", 50*time.Millisecond, func(context.Context) error {
		var errs []error
		for _, mount := range t.mounts {
			for _, group := range below(filepath.Join(mount, name)) {
				if err := unix.Rmdir(group); err != nil && !errors.Is(err, unix.ENOENT) {
					errs = append(errs, fmt.Errorf("remove %s: %w", group, err))
				}
			}
		}
		return errors.Join(errs...)
	})
}

// Left lists the folders that still exist of a group.
func (t Tree) Left(name string) []string {
	var left []string
	for _, mount := range t.mounts {
		path := filepath.Join(mount, name)
		if _, err := os.Stat(path); err == nil {
			left = append(left, path)
		}
	}
	return left
}

// below lists path and every group in it, the deepest first.
func below(path string) []string {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil
	}
	var groups []string
	for _, entry := range entries {
		if entry.IsDir() {
			groups = append(groups, below(filepath.Join(path, entry.Name()))...)
		}
	}
	return append(groups, path)
}
