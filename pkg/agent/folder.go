// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// The modes of what the agent writes.
const (
	fileMode   fs.FileMode = 0o600
	folderMode fs.FileMode = 0o700
)

// folder is one folder of the node, held open: names in it can't lead out of it. Each of its methods that touches
// the disk makes its system calls one by one and asks before each, so that a test can fail or end any of them.
type folder struct {
	root  *os.Root
	label string
	owner int
	// before is nil outside tests.
	before func(operation) error
}

// operation is a system call that is about to be made.
type operation struct {
	folder, call, name, to string
	data                   []byte
	offset                 int64
}

// content is a file as it was read.
type content struct {
	data    []byte
	modTime time.Time
	mode    fs.FileMode
}

func openFolder(path, label string, owner int, before func(operation) error) (*folder, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, callFailed(err, "open the %s folder", label)
	}
	return &folder{root: root, label: label, owner: owner, before: before}, nil
}

func (f *folder) close() { _ = f.root.Close() }

func (f *folder) about(op operation) error {
	if f.before == nil {
		return nil
	}
	op.folder = f.label
	if err := f.before(op); err != nil {
		return callFailed(err, "%s %s", op.call, op.name)
	}
	return nil
}

// read reads a file that must be a plain one, the owner's, and no longer than limit.
func (f *folder) read(name string, limit int64) (content, error) {
	if err := f.about(operation{call: "read", name: name}); err != nil {
		return content{}, err
	}
	file, info, err := f.openPlain(name)
	if err != nil {
		return content{}, err
	}
	defer func() { _ = file.Close() }()
	if !f.owns(info) {
		return content{}, plainf("%s is not owned by user %d", name, f.owner)
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return content{}, callFailed(err, "read %s", name)
	}
	if int64(len(data)) > limit {
		clear(data)
		return content{}, plainf("%s is longer than %d bytes", name, limit)
	}
	return content{data: data, modTime: placed(info).UTC(), mode: info.Mode().Perm()}, nil
}

// placed is when a file came to be what it is: its bytes may be older than its name, which a rename changes.
func placed(info fs.FileInfo) time.Time {
	at := info.ModTime()
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		if changed := time.Unix(stat.Ctim.Unix()); changed.After(at) {
			return changed
		}
	}
	return at
}

// openPlain opens a plain file and follows no symbolic link. os.Root follows one that stays inside, whatever the
// flags say, so what was opened is held against what the name itself stands for. A file that was renamed into
// place between the two looks like a followed link: then both are looked at again.
func (f *folder) openPlain(name string) (*os.File, fs.FileInfo, error) {
	for range 3 {
		named, err := f.root.Lstat(name)
		if err != nil {
			return nil, nil, callFailed(err, "look at %s", name)
		}
		if !named.Mode().IsRegular() {
			return nil, nil, plainf("%s is not a plain file but %s", name, kindOf(named.Mode()))
		}
		// O_NONBLOCK: should it be a pipe by now, opening it must not wait for a writer.
		file, err := f.root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if err != nil {
			return nil, nil, callFailed(err, "open %s", name)
		}
		opened, err := file.Stat()
		if err == nil && os.SameFile(named, opened) {
			return file, opened, nil
		}
		_ = file.Close()
	}
	return nil, nil, plainf("%s keeps being replaced while it is opened", name)
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	default:
		return "a special file"
	}
}

func (f *folder) owns(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == f.owner
}

// writeNew writes a file that must not exist yet, for its owner alone, and makes its bytes durable. Its name becomes so
// with sync.
func (f *folder) writeNew(name string, data []byte) error { return f.writeMode(name, data, fileMode) }

// writeMode is writeNew with other permissions.
func (f *folder) writeMode(name string, data []byte, mode fs.FileMode) error {
	if err := f.about(operation{call: "create", name: name}); err != nil {
		return err
	}
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, fileMode)
	if err != nil {
		return callFailed(err, "create %s", name)
	}
	return errors.Join(f.fill(file, name, data, mode), file.Close())
}

func (f *folder) fill(file *os.File, name string, data []byte, mode fs.FileMode) error {
	steps := []struct {
		operation

		do func() error
	}{
		{operation{call: "chmod", name: name}, func() error { return file.Chmod(mode) }}, // whatever the umask left
		{operation{call: "write", name: name, data: data}, func() error { _, err := file.Write(data); return err }},
		{operation{call: "fsync", name: name}, file.Sync},
	}
	for _, s := range steps {
		if err := f.about(s.operation); err != nil {
			return err
		}
		if err := s.do(); err != nil {
			return callFailed(err, "%s %s", s.call, name)
		}
	}
	return nil
}

// overwrite writes over a part of a file that is there already, durably. It needs no room on the disk.
func (f *folder) overwrite(name string, data []byte, offset int64) error {
	if err := f.about(operation{call: "overwrite", name: name, data: data, offset: offset}); err != nil {
		return err
	}
	file, err := f.root.OpenFile(name, os.O_WRONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return callFailed(err, "open %s", name)
	}
	defer func() { _ = file.Close() }()
	if _, err := file.WriteAt(data, offset); err != nil {
		return callFailed(err, "write %s", name)
	}
	if err := f.about(operation{call: "fsync", name: name}); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return callFailed(err, "fsync %s", name)
	}
	return nil
}

// replace puts a file in place in one step, durably. The temporary file does not outlive an error.
func (f *folder) replace(name string, data []byte) error {
	temp := "." + name + tempSuffix
	err := f.writeNew(temp, data)
	if err == nil {
		err = f.rename(temp, name)
	}
	if err != nil {
		_ = f.remove(temp)
		return err
	}
	return f.sync()
}

func (f *folder) rename(from, to string) error {
	if err := f.about(operation{call: "rename", name: from, to: to}); err != nil {
		return err
	}
	if err := f.root.Rename(from, to); err != nil {
		return callFailed(err, "rename %s", from)
	}
	return nil
}

// remove removes a file. One that is not there is no error.
func (f *folder) remove(name string) error {
	if err := f.about(operation{call: "remove", name: name}); err != nil {
		return err
	}
	if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return callFailed(err, "remove %s", name)
	}
	return nil
}

// sync makes the names in the folder durable.
func (f *folder) sync() error { return f.syncName(".", "fsync folder") }

// syncFile makes the bytes of a file durable that somebody else may have written.
func (f *folder) syncFile(name string) error { return f.syncName(name, "fsync") }

func (f *folder) syncName(name, call string) error {
	if err := f.about(operation{call: call, name: name}); err != nil {
		return err
	}
	file, err := f.root.Open(name)
	if err != nil {
		return callFailed(err, "open %s to sync it", name)
	}
	defer func() { _ = file.Close() }()
	if err := file.Sync(); err != nil {
		return callFailed(err, "sync %s", name)
	}
	return nil
}

// names lists the plain files in the folder.
func (f *folder) names() ([]string, error) {
	if err := f.about(operation{call: "list", name: "."}); err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return nil, callFailed(err, "list the %s folder", f.label)
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
