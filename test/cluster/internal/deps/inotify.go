// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package deps

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	// inotifyLimit is how many inotify instances one user may have. What
	// runs on a node watches files with them, and where there are none left
	// it fails in ways that do not say so.
	inotifyLimit = "/proc/sys/fs/inotify/max_user_instances"
	// inotifyWanted is enough for a dozen clusters.
	inotifyWanted = 1024
	// inotifyPerNode is what a node takes, with some pods on it.
	inotifyPerNode = 25
)

// CheckInotify returns an error if the machine has not enough inotify
// instances left for this many more nodes.
func CheckInotify(nodes int) error {
	limit, err := readInotifyLimit()
	if err != nil {
		return err
	}
	return enoughInotify(limit, countInotify("/proc"), nodes)
}

func enoughInotify(limit, used, nodes int) error {
	if need := nodes * inotifyPerNode; used+need > limit {
		return fmt.Errorf("this machine's limit of inotify instances is too low: %d, of which %d are in use and %d are needed (`cluster deps` raises it until the next boot)", limit, used, need)
	}
	return nil
}

// raiseInotify raises the limit where it is low, and reports whether it did.
func raiseInotify() (bool, error) {
	limit, err := readInotifyLimit()
	if err != nil || limit >= inotifyWanted {
		return false, err
	}
	if err := os.WriteFile(inotifyLimit, []byte(strconv.Itoa(inotifyWanted)), 0o600); err != nil {
		return false, fmt.Errorf("raise limit of inotify instances: %w", err)
	}
	return true, nil
}

func readInotifyLimit() (int, error) {
	content, err := os.ReadFile(inotifyLimit)
	if err != nil {
		return 0, fmt.Errorf("read limit of inotify instances: %w", err)
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return 0, fmt.Errorf("read limit of inotify instances: %w", err)
	}
	return limit, nil
}

// countInotify counts the instances that processes have open.
func countInotify(proc string) int {
	descriptors, err := filepath.Glob(proc + "/[0-9]*/fd/*")
	if err != nil {
		return 0
	}
	count := 0
	for _, descriptor := range descriptors {
		if target, err := os.Readlink(descriptor); err == nil && target == "anon_inode:inotify" {
			count++
		}
	}
	return count
}
