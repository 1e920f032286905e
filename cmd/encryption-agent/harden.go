// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"runtime/debug"
	"syscall"
)

// harden keeps what is in the agent's memory there: no core dump, no reading by other processes of the same user
// through ptrace or /proc, and no values in the trace of a crash.
func harden() error {
	debug.SetTraceback("none")
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 0, 0); errno != 0 {
		return fmt.Errorf("forbid reading of the agent's memory: %w", errno)
	}
	return nil
}
