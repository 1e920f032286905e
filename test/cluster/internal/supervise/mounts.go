// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// mount is one line of the node's /etc/fstab, had it one.
type mount struct {
	source, target, kind string
	flags                uintptr
	// readOnly needs a second call: a bind mount takes no such flag.
	readOnly bool
}

// enterRoot makes spec.Root the / of this process and of all that it starts.
func enterRoot(spec Spec) error {
	// Nothing that is mounted from here on may be seen outside.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts private: %w", err)
	}
	if err := bind(spec.Root, spec.Root); err != nil {
		return err
	}
	for _, m := range mounts(spec) {
		if err := m.do(spec.Root); err != nil {
			return err
		}
	}
	if err := hideKernelSettings(spec.Root); err != nil {
		return err
	}
	if err := pivot(spec.Root); err != nil {
		return err
	}
	// What a pod mounts is to be seen by other pods of the node.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share mounts on the node: %w", err)
	}
	return nil
}

// mounts lists what a node has in common with the machine: its programs, to
// read, its devices and its control groups.
func mounts(spec Spec) []mount {
	return []mount{
		{source: "/usr", target: "usr", flags: unix.MS_BIND | unix.MS_REC, readOnly: true},
		{source: "/etc/alternatives", target: "etc/alternatives", flags: unix.MS_BIND, readOnly: true},
		{source: "proc", target: "proc", kind: "proc"},
		{source: "/sys", target: "sys", flags: unix.MS_BIND | unix.MS_REC},
		{source: "/dev", target: "dev", flags: unix.MS_BIND | unix.MS_REC},
		{source: "tmpfs", target: "run", kind: "tmpfs"},
		{source: "tmpfs", target: "tmp", kind: "tmpfs"},
		{source: spec.Binary, target: programs + "/kubernetes", flags: unix.MS_BIND, readOnly: true},
		{source: spec.BackendsDirectory, target: backendsMount, flags: unix.MS_BIND, readOnly: true},
	}
}

func (m mount) do(root string) error {
	target := filepath.Join(root, m.target)
	if err := makeTarget(m.source, target, m.flags&unix.MS_BIND != 0); err != nil {
		return err
	}
	if err := unix.Mount(m.source, target, m.kind, m.flags, ""); err != nil {
		return fmt.Errorf("mount %s: %w", m.target, err)
	}
	if !m.readOnly {
		return nil
	}
	if err := unix.Mount("", target, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("make %s read-only: %w", m.target, err)
	}
	return nil
}

// makeTarget makes the folder, or for a file the file, to mount upon.
func makeTarget(source, target string, isBind bool) error {
	info, err := os.Stat(source)
	if !isBind || (err == nil && info.IsDir()) {
		if err := os.MkdirAll(target, 0o755); err != nil {
			return fmt.Errorf("make mount point: %w", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at what to mount: %w", err)
	}
	file, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("make mount point: %w", err)
	}
	return file.Close()
}

// hideKernelSettings puts files before the settings of the kernel that a
// kubelet insists on. They are the whole machine's, which is not to panic and
// restart because a test cluster ran on it: the kubelet reads what it wants
// to see and changes nothing.
func hideKernelSettings(root string) error {
	wanted := map[string]string{
		"vm/overcommit_memory":      "1",
		"vm/panic_on_oom":           "0",
		"kernel/panic":              "10",
		"kernel/panic_on_oops":      "1",
		"kernel/keys/root_maxkeys":  "1000000",
		"kernel/keys/root_maxbytes": "25000000",
	}
	for name, value := range wanted {
		setting := filepath.Join(root, "proc/sys", name)
		if !exists(setting) {
			continue
		}
		file := filepath.Join(root, "run/kernel", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return fmt.Errorf("hide kernel setting: %w", err)
		}
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return fmt.Errorf("hide kernel setting: %w", err)
		}
		if err := bind(file, setting); err != nil {
			return err
		}
	}
	return nil
}

func bind(source, target string) error {
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	return nil
}

// pivot swaps / for root, and lets go of what was / before.
func pivot(root string) error {
	if err := unix.Chdir(root); err != nil {
		return fmt.Errorf("enter node's root: %w", err)
	}
	// With the same folder for both, the old root ends up mounted over the
	// new one, from where it can be taken away: see pivot_root(2).
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the machine's root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("enter node's root: %w", err)
	}
	return nil
}
