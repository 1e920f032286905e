// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"context"
	"fmt"
)

const (
	// maxDepth is how deep a tree may be. That of 8 GiB of the smallest values has 5 levels.
	maxDepth = 16
	// maxRun is how large a leaf may be with what overflows from it, in bytes. bbolt leaves up to four values in one leaf
	// whatever their size, and etcd advises 10 MiB at most for one (go.etcd.io/etcd/server/v3@v3.7.0 etcdserver/server.go,
	// recommendedMaxRequestBytes).
	maxRun = 64 << 20
	// maxBranch is the same of a branch: those of etcd do not overflow, their keys have 18 bytes.
	maxBranch = 1 << 20
	// changeInterval is after how many pages the meta pages are read again.
	changeInterval = 1 << 10
)

// direction is in which order a walk hands out elements.
type direction bool

const (
	forward  direction = false
	backward direction = true
)

// bucket is where a bucket begins: at a page, or in bytes of its own if it is small.
type bucket struct {
	root   int64
	inline []byte
}

// bucket reads the value of an element that is one. The bytes are copied.
func (f *File) bucket(e element) (bucket, error) {
	if !e.bucket || len(e.value) < bucketSize {
		return bucket{}, damaged("a bucket of etcd is none")
	}
	if root := number(e.value); root != 0 {
		return bucket{root: root}, nil
	}
	if int64(len(e.value)) > f.meta.pageSize {
		return bucket{}, damaged("a bucket within a page is larger than the page")
	}
	return bucket{inline: bytes.Clone(e.value[bucketSize:])}, nil
}

// walk goes over one tree, once.
type walk struct {
	file      *File
	source    source
	ctx       context.Context //nolint:containedctx // a walk lives as long as the call that it is part of
	direction direction
	visit     func(element) error
	left      int64            // pages that may still be read (rule 2)
	compare   int64            // how many are left when the meta pages are read again (rule 6)
	buffer    []byte           // of the page that was read last
	branches  [maxDepth][]byte // of the branch that is looked at, for each level
	last      []byte           // the key before
}

func (f *File) walk(ctx context.Context, d direction) *walk {
	return &walk{
		file: f, source: source{file: f.file, size: f.size}, ctx: ctx, direction: d, left: f.meta.pages, compare: f.meta.pages - changeInterval,
	}
}

// tree hands out all elements of a bucket. They are valid until visit returns.
func (w *walk) tree(b bucket, visit func(element) error) error {
	w.visit = visit
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if b.inline == nil {
		return w.page(b.root, 0)
	}
	p, err := parsePage(b.inline)
	if err == nil && p.branch {
		err = damaged("it is a branch")
	}
	if err != nil {
		return fmt.Errorf("a bucket within a page: %w", err)
	}
	return w.leaf(p)
}

func (w *walk) page(number int64, depth int) error {
	p, err := w.read(number, depth)
	if err != nil {
		return err
	}
	if !p.branch {
		return w.leaf(p)
	}
	for i := range p.count {
		if err := w.page(p.child(w.nth(i, p.count)), depth+1); err != nil {
			return err
		}
	}
	return nil
}

// leaf hands out the elements of a leaf.
func (w *walk) leaf(p page) error {
	for i := range p.count {
		e := p.element(w.nth(i, p.count))
		if w.last != nil && (w.direction == forward) != (bytes.Compare(w.last, e.key) < 0) || bytes.Equal(w.last, e.key) {
			return damaged("keys are not in order")
		}
		w.last = append(w.last[:0], e.key...)
		if err := w.visit(e); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) nth(i, count int) int {
	if w.direction == backward {
		return count - 1 - i
	}
	return i
}

// read reads a page with what overflows from it. A leaf is valid until another page is read, a branch until one of that depth is.
func (w *walk) read(id int64, depth int) (page, error) {
	if depth >= maxDepth {
		return page{}, damaged("a tree has more than %d levels", maxDepth)
	}
	if err := w.mayRead(id); err != nil {
		return page{}, err
	}
	pageSize := w.file.meta.pageSize
	w.buffer = sized(w.buffer, pageSize)
	if err := w.source.read(w.buffer, id*pageSize); err != nil {
		return page{}, err
	}
	h := readHeader(w.buffer)
	count := h.overflow + 1
	w.left -= count
	switch limit := runLimit(h.kind); {
	case h.number != id:
		return page{}, damaged("page %d says that it is another one", id)
	case count > w.file.meta.pages-id:
		return page{}, damaged("page %d goes on beyond the last one", id)
	case count*pageSize > limit:
		return page{}, damaged("page %d has %d bytes, more than are read at once", id, count*pageSize)
	}
	if count > 1 {
		w.buffer = sized(w.buffer, count*pageSize)
		if err := w.source.read(w.buffer[pageSize:], (id+1)*pageSize); err != nil {
			return page{}, err
		}
	}
	p, err := parsePage(w.buffer)
	if err != nil {
		return page{}, fmt.Errorf("page %d: %w", id, err)
	}
	if p.branch {
		w.branches[depth] = append(w.branches[depth][:0], p.bytes...)
		p.bytes = w.branches[depth]
	}
	return p, nil
}

// mayRead is whether a page may be looked at, and whether to go on at all.
func (w *walk) mayRead(id int64) error {
	switch {
	case id < 2 || id >= w.file.meta.pages:
		return damaged("a tree leads to a page that is not there")
	case w.left <= 0:
		return damaged("a tree leads to more pages than there are")
	}
	if w.left < w.compare {
		w.compare = w.left - changeInterval
		if err := w.file.unchanged(); err != nil {
			return err
		}
	}
	return w.ctx.Err()
}

func runLimit(kind uint16) int64 {
	if kind == kindBranch {
		return maxBranch
	}
	return maxRun
}

// sized is the buffer with so many bytes, of which those that it had are kept.
func sized(buffer []byte, size int64) []byte {
	if int64(cap(buffer)) >= size {
		return buffer[:size]
	}
	larger := make([]byte, size)
	copy(larger, buffer)
	return larger
}
