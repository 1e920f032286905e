// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/residue"
	etcddb "github.com/kubectl-encryption/kubectl-encryption/pkg/snapshot"
)

const (
	// searchBlock is what is read of a file at once, in bytes.
	searchBlock = 1 << 20
	// searchRate is how many bytes are read in a second at most: etcd's own writes wait for the same disk. What is read stays
	// in the page cache only as far as the memory of the agent's container goes, so etcd keeps its own.
	searchRate = 64 << 20
	// database is etcd's own (go.etcd.io/etcd/server/v3@v3.7.0 storage/datadir/datadir.go).
	database = "db"
	// compactedTries is how often the database is looked at for its compacted revision, and compactedPause how long after
	// another: etcd commits every 100 ms (the same module, embed/config.go), and what is read takes less than one.
	compactedTries = 50
	compactedPause = 30 * time.Millisecond
)

// search looks for what is left of values in the files of etcd, one after the other. It changes nothing.
//
// etcd goes on meanwhile. What it writes behind the place that was reached is not seen. A database that is replaced is Changed; a
// segment of the log that is gone is passed over.
func (s *Server) search(ctx context.Context, ask agentapi.Searching) (*agentapi.Searched, error) {
	layout, err := etcdkey.NewLayout(ask.Prefix, nil, nil)
	if err != nil {
		return nil, failf(agentapi.BadRequest, "%v", err)
	}
	if ask.Compacted == 0 {
		if ask.Compacted, err = s.compacted(ctx); err != nil {
			return nil, err
		}
	}
	within := ask.Within
	if within == 0 {
		within = agentapi.MaxWithin
	}
	w := &search{
		ctx: ctx, started: time.Now(), within: within, block: make([]byte, searchBlock), compacted: ask.Compacted,
		root: layout.Root(), counter: residue.NewCounter(residue.Scope{Layout: layout, Config: ask.Config, Resources: ask.Resources}),
		answer: &agentapi.Searched{Compacted: ask.Compacted, Done: true},
	}
	for _, folder := range []struct{ name, path string }{{agentapi.SnapFolder, s.SnapDir}, {agentapi.WALFolder, s.WALDir}} {
		if err := w.folder(folder.name, folder.path, ask.From); err != nil {
			return nil, err
		}
	}
	w.answer.Counts = w.counter.Counts()
	return w.answer, nil
}

// compacted is the revision up to which etcd has compacted.
func (s *Server) compacted(ctx context.Context) (int64, error) {
	for try := 1; ; try++ {
		revision, err := s.compactedNow(ctx)
		switch {
		case err == nil, ctx.Err() != nil:
			return revision, ctx.Err()
		case try == compactedTries || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission):
			return 0, unread(err, "etcd's database")
		}
		if err := rest(ctx, compactedPause); err != nil {
			return 0, err
		}
	}
}

func (s *Server) compactedNow(ctx context.Context) (int64, error) {
	root, err := os.OpenRoot(s.SnapDir)
	if err != nil {
		return 0, err
	}
	defer func() { _ = root.Close() }() // it was only read
	file, size, _, err := openPlain(root, database)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }() // it was only read
	f, err := etcddb.New(ctx, file, size, etcddb.Options{})
	if err != nil {
		return 0, err
	}
	// 1 is a revision that etcd begins with and that holds nothing: 0 asks for this to be read.
	return max(1, f.Info().CompactedRevision), nil
}

// unread says why a file could not be read, in the words of the system or of package snapshot, which quote nothing of it.
func unread(err error, what string) error {
	if known := (*agentapi.Error)(nil); errors.As(err, &known) {
		return err
	}
	for _, known := range []error{etcddb.ErrChanged, etcddb.ErrDamaged, etcddb.ErrForeign} {
		if errors.Is(err, known) {
			return failf(agentapi.Unreadable, "%s can't be read: %v", what, known)
		}
	}
	return callFailed(err, "read %s", what)
}

// search is one request at work.
type search struct {
	ctx       context.Context //nolint:containedctx // a search lives as long as the call that it is part of
	started   time.Time
	within    time.Duration
	block     []byte
	compacted int64
	root      string
	counter   *residue.Counter
	answer    *agentapi.Searched
}

// folder searches the files of a folder from a position on, unless the time is over: then it only adds up their sizes.
func (w *search) folder(name, path string, from agentapi.Position) error {
	root, err := os.OpenRoot(path)
	if err != nil {
		return callFailed(err, "open the folder %s of etcd", name)
	}
	defer func() { _ = root.Close() }()        // it was only read
	entries, err := fs.ReadDir(root.FS(), ".") // sorted by name
	if err != nil {
		return callFailed(err, "list the folder %s of etcd", name)
	}
	for _, e := range entries {
		if err := w.entry(root, agentapi.Position{Folder: name, Name: e.Name()}, from); err != nil {
			return err
		}
	}
	return nil
}

func (w *search) entry(root *os.Root, at, from agentapi.Position) error {
	file, size, inode, err := openPlain(root, at.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errNotPlain):
		return nil
	case err != nil:
		return callFailed(err, "open a file in the folder %s of etcd", at.Folder)
	}
	defer func() { _ = file.Close() }() // it was only read
	w.answer.Size += size
	if before := strings.Compare(at.Folder+"/"+at.Name, from.Folder+"/"+from.Name); before < 0 || !w.answer.Done {
		return nil
	} else if before == 0 && from.Offset > 0 {
		if from.Inode != inode {
			return failf(agentapi.Changed, "etcd has replaced a file in its folder %s while it was searched, as a defragmentation does", at.Folder)
		}
		at.Offset = from.Offset
	}
	at.Inode = inode
	return w.file(file, at)
}

// file searches a file from the offset on, and notes where to go on if the time is over before its end.
func (w *search) file(file io.ReaderAt, at agentapi.Position) error {
	form := residue.Database
	if at.Folder == agentapi.WALFolder {
		form = residue.Log
	}
	carver := residue.NewCarver(form, w.root)
	for {
		if w.answer.Read > 0 && time.Since(w.started) >= w.within {
			w.answer.Next, w.answer.Done = at, false
			return nil
		}
		next, last, err := carver.Block(file, at.Offset, w.block, func(r residue.Record) { w.counter.Add(w.place(at, r), r) })
		if err != nil {
			return callFailed(err, "read a file in the folder %s of etcd", at.Folder)
		}
		w.answer.Read += next - at.Offset
		at.Offset = next
		if last {
			return w.ctx.Err()
		}
		due := time.Duration(float64(w.answer.Read) / searchRate * float64(time.Second))
		if err := rest(w.ctx, due-time.Since(w.started)); err != nil {
			return err
		}
	}
}

func (w *search) place(at agentapi.Position, r residue.Record) residue.Place {
	switch {
	case at.Folder == agentapi.WALFolder:
		return residue.Logged
	case at.Name != database:
		return residue.Beside
	}
	return residue.PlaceOf(r.Revision, w.compacted)
}

// errNotPlain is that something is no plain file, and not searched.
var errNotPlain = errors.New("it is no plain file")

// openPlain opens a file of a folder. A link may not lead out of it, and nothing that would wait is opened.
func openPlain(root *os.Root, name string) (file *os.File, size int64, inode uint64, err error) {
	stat, err := root.Lstat(name)
	if err != nil {
		return nil, 0, 0, err
	}
	if !stat.Mode().IsRegular() {
		return nil, 0, 0, errNotPlain
	}
	if file, err = root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0); err != nil {
		return nil, 0, 0, err
	}
	if stat, err = file.Stat(); err != nil {
		return nil, 0, 0, errors.Join(err, file.Close())
	}
	if system, ok := stat.Sys().(*syscall.Stat_t); ok {
		inode = system.Ino
	}
	return file, stat.Size(), inode, nil
}

// rest waits, or until the context is done.
func rest(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
