// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Options are what a caller decides. The zero value is the careful one.
type Options struct {
	// AcceptAltered reads a snapshot whose hash does not fit; Info says so.
	AcceptAltered bool
}

// File is an etcd in a file. Its methods change nothing and may be called at the same time.
type File struct {
	file  io.ReaderAt
	close func() error
	size  int64 // of the database, in bytes
	meta  meta
	heads [2][metaSize]byte // the meta pages as they were
	keys  bucket            // the bucket "key"
	info  Info
	// maxKeys is how many keys a pass remembers.
	maxKeys int
}

// Open opens a snapshot or the db file of a stopped member. It reads a snapshot from end to end, to compare its hash. The
// error is one of this package's, or that of the system or of the context. The caller closes the file.
//
// The db file of a running member is ErrChanged sooner or later. A copy of such a file may hold parts of two states, and
// nothing in it tells that: only a snapshot is one state for certain.
func Open(ctx context.Context, path string, options Options) (*File, error) {
	// A named pipe would wait for somebody to write.
	stat, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !stat.Mode().IsRegular() {
		return nil, foreign("it is no regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if stat, err = file.Stat(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	f, err := New(ctx, file, stat.Size(), options)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	f.close = file.Close
	return f, nil
}

// New is Open for a file of that many bytes that is open already and stays the caller's.
func New(ctx context.Context, file io.ReaderAt, size int64, options Options) (*File, error) {
	f := &File{file: file, close: func() error { return nil }, maxKeys: maxKeys}
	database, hashed, splitErr := split(size)
	m, err := readMeta(file, database)
	if err := first(err, splitErr); err != nil {
		return nil, err
	}
	f.size, f.meta = database, m
	if f.heads, err = m.heads(file); err != nil {
		return nil, err
	}
	// A meta page that was half written when it was read first would be looked at again as if it were an old one.
	if again, err := readMeta(file, database); err != nil || again != m {
		return nil, errors.Join(ErrChanged, err)
	}
	f.info = Info{Size: database, PageSize: m.pageSize, Pages: m.pages, Hash: HashAbsent}
	if hashed {
		if f.info.Hash, err = verify(ctx, file, database); err != nil {
			return nil, err
		}
		if f.info.Hash == HashAltered && !options.AcceptAltered {
			return nil, ErrAltered
		}
	}
	if err := f.settled(f.readInfo(ctx)); err != nil {
		return nil, err
	}
	return f, nil
}

// first is the error that says most: that of a file that is something else altogether.
func first(meta, split error) error {
	if split == nil || errors.Is(meta, ErrForeign) {
		return meta
	}
	return split
}

// Close closes what Open opened.
func (f *File) Close() error { return f.close() }

// Info is what the file says of itself.
func (f *File) Info() Info { return f.info }

// settled is what a walk came to: a file that was written to meanwhile explains whatever was found in it (rule 6).
func (f *File) settled(err error) error {
	if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if changed := f.unchanged(); changed != nil {
		return changed
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrChanged
	}
	return err
}

// unchanged compares the meta pages with those that were found first.
func (f *File) unchanged() error {
	now, err := f.meta.heads(f.file)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) || err == nil && now != f.heads:
		return fmt.Errorf("%w: stop the member, or take a snapshot of it", ErrChanged)
	}
	return err
}
