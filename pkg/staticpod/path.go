// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package staticpod

import (
	"fmt"
	"path"
	"regexp"
	"slices"
)

// plainPath is a path that needs no quotes in YAML and no escapes in a command.
var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._-]+){2,}$`)

const manifestDir = "/etc/kubernetes/manifests"

// CheckFile tells whether a configuration may be at a path on a node: absolute, clean, of plain characters, in a
// folder, and not where the kubelet looks for static pods.
func CheckFile(file string) error {
	switch {
	case !plainPath.MatchString(file) || path.Clean(file) != file || len(file) > 255:
		return fmt.Errorf("the configuration's path must be an absolute path in a folder, of letters, digits and . _ - alone: %w", ErrRefused)
	case within(file, manifestDir):
		return fmt.Errorf("the configuration can't be in %s, where the kubelet takes every file for a pod: %w", manifestDir, ErrRefused)
	}
	return nil
}

// CheckMount tells whether a node's folder may be shown to kube-apiserver at the same path: nothing that
// kube-apiserver's own image has at that path must be hidden, and no more than the configuration be shown.
func CheckMount(dir string) error {
	taken := []string{"/", "/etc", "/etc/kubernetes", "/etc/kubernetes/pki", "/usr", "/var", "/var/lib", "/run", "/root", "/home", "/tmp"}
	trees := []string{"/proc", "/sys", "/dev", "/bin", "/sbin", "/lib", "/lib64", "/usr/bin", "/usr/local/bin", "/boot", manifestDir}
	if slices.Contains(taken, dir) || slices.ContainsFunc(trees, func(tree string) bool { return within(dir, tree) }) {
		return fmt.Errorf("the configuration must be in a folder of its own, not in %s: %w", dir, ErrRefused)
	}
	return nil
}
