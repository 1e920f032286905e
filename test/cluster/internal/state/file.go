// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package state keeps what the harness knows about what it started, in one
// JSON file, which is at the same time how tests find everything.
package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrBusy says that another harness works on the same folder.
var ErrBusy = errors.New("another cluster command works on it")

// Lock makes the folder if need be and takes it for one command at a time.
func Lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	handle, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open folder: %w", err)
	}
	if err := unix.Flock(int(handle.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = handle.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrBusy
		}
		return nil, fmt.Errorf("lock folder %s: %w", dir, err)
	}
	return func() { _ = handle.Close() }, nil
}

// save replaces the file as a whole.
func save(file string, value any) error {
	content, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(file), err)
	}
	temporary := file + ".new"
	if err := os.WriteFile(temporary, append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(file), err)
	}
	if err := os.Rename(temporary, file); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(file), err)
	}
	return nil
}

// load reads the file; one that is not there is reported as os.ErrNotExist.
func load(file string, value any) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read %s: %w", filepath.Base(file), err)
	}
	if err := json.Unmarshal(content, value); err != nil {
		return fmt.Errorf("read %s: %w", filepath.Base(file), err)
	}
	return nil
}
