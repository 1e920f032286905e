// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// sub opens a folder in the folder, which is made if it is missing.
func (f *folder) sub(name string) (*folder, error) {
	if _, err := f.root.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		if err := f.about(operation{call: "mkdir", name: name}); err != nil {
			return nil, err
		}
		if err := f.root.Mkdir(name, folderMode); err != nil {
			return nil, callFailed(err, "make the folder %s", name)
		}
		if err := f.sync(); err != nil {
			return nil, err
		}
	}
	root, err := f.root.OpenRoot(name)
	if err != nil {
		return nil, callFailed(err, "open the folder %s", name)
	}
	return &folder{root: root, label: f.label + "/" + name, owner: f.owner, before: f.before}, nil
}

// isEmpty tells whether nothing at all is in the folder.
func (f *folder) isEmpty() (bool, error) {
	entries, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return false, callFailed(err, "list the %s folder", f.label)
	}
	return len(entries) == 0, nil
}

// protect closes the folder to everybody but its owner: the kubelet makes a missing one with mode 0755.
func (f *folder) protect() error {
	dir, err := f.root.Open(".")
	if err != nil {
		return callFailed(err, "open the %s folder", f.label)
	}
	defer func() { _ = dir.Close() }()
	info, err := dir.Stat()
	if err != nil {
		return callFailed(err, "look at the %s folder", f.label)
	}
	if !f.owns(info) {
		return plainf("the %s folder is not owned by user %d", f.label, f.owner)
	}
	if info.Mode().Perm() == folderMode {
		return nil
	}
	if err := f.about(operation{call: "chmod folder", name: "."}); err != nil {
		return err
	}
	if err := dir.Chmod(folderMode); err != nil {
		return callFailed(err, "chmod the %s folder", f.label)
	}
	return nil
}

// lock takes the lock of a file in the folder. The kernel gives it back when the process ends, however it ends; so the
// file is never removed.
func (f *folder) lock(name string) (unlock func(), err error) {
	if err := f.about(operation{call: "lock", name: name}); err != nil {
		return nil, err
	}
	file, err := f.root.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, fileMode)
	if err != nil {
		return nil, callFailed(err, "open %s", name)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errBusy
		}
		return nil, callFailed(err, "lock %s", name)
	}
	return func() { _ = file.Close() }, nil
}
