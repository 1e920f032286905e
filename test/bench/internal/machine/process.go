// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package machine reads from /proc what processes and the machine have used.
package machine

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc, on every Linux that Go runs on (USER_HZ, man 5 proc).
const tick = 10 * time.Millisecond

// procFolder is where the kernel tells of processes.
const procFolder = "/proc"

// CPU is the processor time that a process has used so far, its threads included and its children not.
func CPU(pid int) (time.Duration, error) {
	data, err := os.ReadFile(filepath.Join(procFolder, strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	return parseStat(data)
}

// parseStat adds up fields 14 and 15, utime and stime. The second field is a name in parentheses, of any characters.
func parseStat(data []byte) (time.Duration, error) {
	const utime, stime = 11, 12 // counted from behind the name
	end := bytes.LastIndexByte(data, ')')
	fields := strings.Fields(string(data[end+1:]))
	if end < 0 || len(fields) <= stime {
		return 0, fmt.Errorf("read processor time: %d fields", len(fields))
	}
	var ticks int64
	for _, field := range []string{fields[utime], fields[stime]} {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read processor time: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// PeakMemory is the most memory, in bytes, that a process ever held (VmHWM). ru_maxrss would not do: after a vfork,
// which Go starts processes with, it begins with the parent's.
func PeakMemory(pid int) (int64, error) {
	file, err := os.Open(filepath.Join(procFolder, strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, fmt.Errorf("read peak memory: %w", err)
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			return parseKiB(rest)
		}
	}
	return 0, fmt.Errorf("read peak memory of process %d: it has ended", pid)
}

func parseKiB(text string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "kB")), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	return n << 10, nil
}
