// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// About is what a reader must know of a machine to place its numbers.
type About struct {
	Cores  int    `json:"cores"`
	Model  string `json:"model"`
	Memory int64  `json:"memoryBytes"`
	Kernel string `json:"kernel"`
	// SyncP50 and SyncP99 are how long a small write takes to be on disk, in milliseconds.
	SyncP50 float64 `json:"syncP50Milliseconds"`
	SyncP99 float64 `json:"syncP99Milliseconds"`
}

// Describe looks at this machine and at the disk below a folder.
func Describe(folder string) (About, error) {
	about := About{Cores: runtime.NumCPU(), Model: field("cpuinfo", "model name")}
	if about.Model == "" {
		about.Model = runtime.GOARCH
	}
	memory, err := parseKiB(field("meminfo", "MemTotal"))
	if err != nil {
		return About{}, err
	}
	about.Memory = memory
	kernel, err := os.ReadFile(filepath.Join(procFolder, "sys", "kernel", "osrelease"))
	if err != nil {
		return About{}, fmt.Errorf("read kernel version: %w", err)
	}
	about.Kernel, _, _ = strings.Cut(strings.TrimSpace(string(kernel)), "-") // what follows is a builder's name
	about.SyncP50, about.SyncP99, err = measureSync(folder)
	return about, err
}

// field is the first value of that name in a file of lines "name: value"; empty if there is none.
func field(file, name string) string {
	data, err := os.ReadFile(filepath.Join(procFolder, file))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// measureSync writes as etcd's log does, 2.3 KB at a time, and returns how long the sync took, in milliseconds.
func measureSync(folder string) (p50, p99 float64, err error) {
	const writes, size = 300, 2300
	file, err := os.CreateTemp(folder, "sync")
	if err != nil {
		return 0, 0, fmt.Errorf("measure disk: %w", err)
	}
	defer func() {
		_ = file.Close()
		_ = os.Remove(file.Name())
	}()
	block := make([]byte, size)
	took := make([]float64, writes)
	for i := range took {
		if _, err := file.Write(block); err != nil {
			return 0, 0, fmt.Errorf("measure disk: %w", err)
		}
		began := time.Now()
		if err := file.Sync(); err != nil {
			return 0, 0, fmt.Errorf("measure disk: %w", err)
		}
		took[i] = float64(time.Since(began)) / float64(time.Millisecond)
	}
	slices.Sort(took)
	return took[writes/2], took[writes*99/100], nil
}
