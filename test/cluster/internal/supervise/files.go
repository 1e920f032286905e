// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	// programs is where a node has its own copy of Kubernetes.
	programs = "/opt/kubernetes/bin"
	// backendsMount is where a node sees Spec.BackendsDirectory.
	backendsMount = "/run/control-plane"
)

// layOut makes the folders and files of a node that has just been bought: on
// one that ran before, what it wrote stays.
func layOut(spec Spec) error {
	// Folders where something is mounted, and those that a fresh Debian has.
	for _, directory := range []string{
		"usr", "proc", "sys", "dev", "run", "tmp", "root", "mnt", "opt/kubernetes/bin",
		"etc/alternatives", "etc/ssl/certs", "etc/kubernetes/manifests", "etc/cni/net.d", "etc/containerd",
		"var/lib/kubelet", "var/lib/containerd", "var/lib/cni", "var/log", "var/tmp",
	} {
		if err := os.MkdirAll(filepath.Join(spec.Root, directory), 0o755); err != nil {
			return fmt.Errorf("lay out node: %w", err)
		}
	}
	if err := os.Chmod(filepath.Join(spec.Root, "root"), 0o700); err != nil {
		return fmt.Errorf("lay out node: %w", err)
	}
	files := map[string]string{ //nolint:gosec // G101: no password is in /etc/passwd
		"etc/hostname":    spec.Name + "\n",
		"etc/hosts":       "127.0.0.1 localhost\n" + strings.Join(spec.Hosts, "\n") + "\n",
		"etc/resolv.conf": "",
		"etc/passwd":      "root:x:0:0:root:/root:/bin/sh\n",
		"etc/group":       "root:x:0:\n",
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(spec.Root, name), []byte(content), 0o644); err != nil {
			return fmt.Errorf("lay out node: %w", err)
		}
	}
	return link(spec.Root)
}

// link makes /bin, /lib… what they are on the machine, and gives the one
// Kubernetes program the names of all that it is.
func link(root string) error {
	for _, name := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"} {
		target, err := os.Readlink("/" + name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("lay out node: /%s is no link into /usr: %w", name, err)
		}
		if err := symlink(target, filepath.Join(root, name)); err != nil {
			return err
		}
	}
	for _, name := range []string{"kubelet", "kubeadm"} {
		if err := symlink("kubernetes", filepath.Join(root, programs, name)); err != nil {
			return err
		}
	}
	return nil
}

func symlink(target, path string) error {
	if err := os.Symlink(target, path); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("lay out node: %w", err)
	}
	return nil
}
