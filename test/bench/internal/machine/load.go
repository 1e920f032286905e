// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Load is what the whole machine has done since it was started.
type Load struct {
	// Busy is the processor time used by anything, over all cores, steal excluded.
	Busy time.Duration
	// Steal is the processor time that the machine wanted and its host gave to others.
	Steal time.Duration
	// Average1 is the load average over a minute.
	Average1 float64
}

// ReadLoad reads the machine's load.
func ReadLoad() (Load, error) {
	stat, err := os.ReadFile(filepath.Join(procFolder, "stat"))
	if err != nil {
		return Load{}, fmt.Errorf("read load: %w", err)
	}
	average, err := os.ReadFile(filepath.Join(procFolder, "loadavg"))
	if err != nil {
		return Load{}, fmt.Errorf("read load: %w", err)
	}
	return parseLoad(string(stat), string(average))
}

// parseLoad reads the line "cpu user nice system idle iowait irq softirq steal …" and the first number of loadavg.
func parseLoad(stat, average string) (Load, error) {
	const idle, iowait, steal = 3, 4, 7
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < steal+2 || fields[0] != "cpu" {
		return Load{}, fmt.Errorf("read load from %q", line)
	}
	var load Load
	for i, field := range fields[1 : steal+2] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return Load{}, fmt.Errorf("read load: %w", err)
		}
		switch i {
		case idle, iowait:
		case steal:
			load.Steal = time.Duration(n) * tick
		default:
			load.Busy += time.Duration(n) * tick
		}
	}
	first, _, _ := strings.Cut(average, " ")
	var err error
	if load.Average1, err = strconv.ParseFloat(first, 64); err != nil {
		return Load{}, fmt.Errorf("read load average: %w", err)
	}
	return load, nil
}
