// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package process starts programs that outlive the harness, recognises them
// later and ends them. A process is never known by its id alone: ids are used
// again, and what carries the same id tomorrow may belong to somebody else.
package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Identity names one process of this machine for ever: its id, the moment it
// started and the boot in which that was.
type Identity struct {
	PID     int    `json:"pid"`
	Started uint64 `json:"started"`
	BootID  string `json:"bootID"`
}

// ErrGone says that no process of that id runs.
var ErrGone = errors.New("process is gone")

// Identify returns the identity of the running process pid.
func Identify(pid int) (Identity, error) {
	started, err := startTime(pid)
	if err != nil {
		return Identity{}, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Identity{}, fmt.Errorf("read boot id: %w", err)
	}
	return Identity{PID: pid, Started: started, BootID: strings.TrimSpace(string(boot))}, nil
}

// Alive reports whether exactly this process still runs.
func (i Identity) Alive() bool {
	if i.PID <= 0 {
		return false
	}
	now, err := Identify(i.PID)
	return err == nil && now == i
}

// Signal sends sig to the process, and reports ErrGone if it no longer runs.
func (i Identity) Signal(sig unix.Signal) error {
	// A pidfd taken before the check pins the process that is checked.
	fd, err := unix.PidfdOpen(i.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return ErrGone
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", i.PID, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if !i.Alive() {
		return ErrGone
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal process %d: %w", i.PID, err)
	}
	return nil
}

// startTime reads when a process started, in clock ticks since boot.
func startTime(pid int) (uint64, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return 0, ErrGone
	}
	if err != nil {
		return 0, fmt.Errorf("read process %d: %w", pid, err)
	}
	stat, err := parseStat(string(line))
	if err != nil {
		return 0, fmt.Errorf("read process %d: %w", pid, err)
	}
	if stat.ended() {
		return 0, ErrGone
	}
	return stat.started, nil
}

// stat is what the kernel tells of a process in /proc/PID/stat, see proc(5).
type stat struct {
	state   string
	threads int
	started uint64
}

// ended is of a process that only waits to be reaped. The first thread alone
// may be such a zombie while the process goes on in others: so it is, for a
// moment, when one of these executes another program.
func (s stat) ended() bool { return s.state == "Z" && s.threads <= 1 }

// parseStat reads a line of /proc/PID/stat. The second field is the program's
// name in parentheses and may itself hold spaces and parentheses, so that
// counting begins after the last one.
func parseStat(line string) (stat, error) {
	_, rest, found := cutLast(line, ")")
	fields := strings.Fields(rest)
	const threadsField, startField = 17, 19 // the 20th and 22nd of the line, counted from the 3rd
	if !found || len(fields) <= startField {
		return stat{}, fmt.Errorf("parse stat line %q: too short", line)
	}
	threads, err := strconv.Atoi(fields[threadsField])
	if err != nil {
		return stat{}, fmt.Errorf("parse stat line %q: %w", line, err)
	}
	started, err := strconv.ParseUint(fields[startField], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("parse stat line %q: %w", line, err)
	}
	return stat{state: fields[0], threads: threads, started: started}, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
