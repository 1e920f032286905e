// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Spec is a program to start in the background.
type Spec struct {
	Path string
	Args []string
	// Env is the whole environment; nothing is inherited.
	Env []string
	// Log receives what the program prints; it is appended to.
	Log string
	// Dir is where it runs, / when empty.
	Dir string
	// Attributes adds namespaces; the session is always its own.
	Attributes *syscall.SysProcAttr
	// Files are passed on as descriptors 3 and up.
	Files []*os.File
}

// Start runs the program in a session of its own, so that it goes on when the
// harness and its terminal are gone, and returns who it is.
func Start(spec Spec) (Identity, error) {
	if err := os.MkdirAll(filepath.Dir(spec.Log), 0o755); err != nil {
		return Identity{}, fmt.Errorf("make log folder: %w", err)
	}
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return Identity{}, fmt.Errorf("open log: %w", err)
	}
	defer func() { _ = log.Close() }()

	// The command has no context on purpose: it must outlive the caller's.
	cmd := &exec.Cmd{
		Path: spec.Path, Args: append([]string{filepath.Base(spec.Path)}, spec.Args...),
		Env: spec.Env, Dir: spec.Dir, Stdout: log, Stderr: log, ExtraFiles: spec.Files,
		SysProcAttr: &syscall.SysProcAttr{},
	}
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	if spec.Attributes != nil {
		cmd.SysProcAttr = spec.Attributes
	}
	cmd.SysProcAttr.Setsid = true
	if err := cmd.Start(); err != nil {
		return Identity{}, fmt.Errorf("start %s: %w", filepath.Base(spec.Path), err)
	}
	id, err := Identify(cmd.Process.Pid)
	if err != nil {
		// What nobody would recognise later must not stay behind.
		_ = cmd.Process.Kill()
	}
	// Reaped while the harness runs, so that an early death is seen as one.
	go func() { _ = cmd.Wait() }()
	if err != nil {
		return Identity{}, fmt.Errorf("start %s: %w", filepath.Base(spec.Path), err)
	}
	return id, nil
}
