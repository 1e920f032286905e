// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package deps knows what a cluster needs from the machine, and gets it.
package deps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// tool is one thing that must be there, and the Debian package that has it.
type tool struct {
	path, pkg string
}

// tools lists what the nodes and the harness run. A path with a slash is a
// file; any other is looked for where root has its programs.
func tools() []tool {
	return []tool{
		{"containerd", "containerd"},
		{"containerd-shim-runc-v2", "containerd"},
		{"ctr", "containerd"},
		{"runc", "runc"},
		{"/usr/lib/cni/bridge", "containernetworking-plugins"},
		{"/usr/lib/cni/host-local", "containernetworking-plugins"},
		{"iptables", "iptables"},
		{"conntrack", "conntrack"},
		{"socat", "socat"},
		{"etcdctl", "etcd-client"},
		{"ip", "iproute2"},
		{"nsenter", "util-linux"},
		{"mount", "mount"},
	}
}

// Missing lists the packages of the tools that are not there.
func Missing() []string {
	var packages []string
	for _, t := range tools() {
		if !present(t.path) && !slices.Contains(packages, t.pkg) {
			packages = append(packages, t.pkg)
		}
	}
	return packages
}

func present(path string) bool {
	if strings.Contains(path, "/") {
		_, err := os.Stat(path)
		return err == nil
	}
	for _, directory := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if _, err := os.Stat(directory + "/" + path); err == nil {
			return true
		}
	}
	return false
}

// CheckRoot returns an error if this process may not make nodes.
func CheckRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("only root can start nodes (a bare control plane needs no root)")
	}
	return nil
}

// Check returns an error that names what is missing and how to get it.
func Check() error {
	if missing := Missing(); len(missing) > 0 {
		return fmt.Errorf("missing on this machine: %s (`cluster deps` installs it)", strings.Join(missing, ", "))
	}
	return nil
}

// Install gets what is missing from the machine's own package manager, and
// raises the one limit of the machine that is too low for several nodes.
func Install(ctx context.Context, log io.Writer) error {
	if raised, err := raiseInotify(); err != nil {
		return err
	} else if raised {
		_, _ = fmt.Fprintln(log, "raised the limit of inotify instances until the next boot")
	}
	missing := Missing()
	if len(missing) == 0 {
		_, _ = fmt.Fprintln(log, "nothing is missing")
		return nil
	}
	_, _ = fmt.Fprintln(log, "installing", strings.Join(missing, ", "))
	if err := apt(ctx, log, "update"); err != nil {
		return err
	}
	if err := apt(ctx, log, append([]string{"install", "--yes", "--no-install-recommends"}, missing...)...); err != nil {
		return err
	}
	return Check()
}

func apt(ctx context.Context, log io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"--quiet"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run apt-get %s: %w", args[0], err)
	}
	return nil
}
