// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"fmt"
	"slices"
)

// maxBuckets is more than any etcd has: eleven, and none in another (go.etcd.io/etcd/server/v3@v3.7.0 storage/schema/bucket.go).
const maxBuckets = 100

// pageSet is a set of pages: a bit for each.
type pageSet []uint64

func newPageSet(pages int64) pageSet { return make(pageSet, (pages+63)/64) }

func (s pageSet) has(page int64) bool { return s[page/64]>>(page%64)&1 != 0 }

func (s pageSet) add(page int64) { s[page/64] |= 1 << (page % 64) }

// used finds the pages that are part of something: etcd keeps no list of the free ones in the file
// (go.etcd.io/etcd/server/v3@v3.7.0 storage/backend/config_linux.go, NoFreelistSync).
func (f *File) used(ctx context.Context) (pageSet, error) {
	used := newPageSet(f.meta.pages)
	used.add(0)
	used.add(1)
	occupy := func(first, count int64) error {
		for page := first; page < first+count; page++ {
			if used.has(page) {
				return damaged("page %d is used twice", page)
			}
			used.add(page)
		}
		return nil
	}
	if f.meta.freelist >= 0 {
		if err := f.occupyFreelist(ctx, occupy); err != nil {
			return nil, err
		}
	}
	if err := f.occupyBuckets(ctx, occupy); err != nil {
		return nil, err
	}
	return used, nil
}

// occupyBuckets marks the pages of the bucket of buckets and of those in it, one after the other.
func (f *File) occupyBuckets(ctx context.Context, occupy func(first, count int64) error) error {
	var buckets []bucket
	w := f.walk(ctx, forward)
	w.occupy = occupy
	err := w.tree(bucket{root: f.meta.root}, func(e element) error {
		if len(buckets) == maxBuckets {
			return damaged("it has more than %d buckets", maxBuckets)
		}
		b, err := f.bucket(e)
		buckets = append(buckets, b)
		return err
	})
	for _, b := range buckets {
		if err != nil {
			break
		}
		w := f.walk(ctx, forward)
		w.occupy = occupy
		err = w.tree(b, func(e element) error {
			if e.bucket {
				return damaged("a bucket lies in another one")
			}
			return nil
		})
	}
	return err
}

// occupyFreelist marks the pages of the freelist, which a bbolt of another configuration leaves behind.
func (f *File) occupyFreelist(ctx context.Context, occupy func(first, count int64) error) error {
	if err := f.walk(ctx, forward).mayRead(f.meta.freelist); err != nil {
		return err
	}
	b := make([]byte, headerSize)
	if err := readFull(f.file, b, f.meta.freelist*f.meta.pageSize); err != nil {
		return err
	}
	h := readHeader(b)
	if h.number != f.meta.freelist || h.overflow >= f.meta.pages-f.meta.freelist {
		return damaged("page %d is not the list of free pages that it should be", f.meta.freelist)
	}
	return occupy(f.meta.freelist, h.overflow+1)
}

// FreePages hands out the pages that nothing leads to, in order, as they were left: whatever was in them last. Pages at the
// end of a db file that were never used are not among them.
func (f *File) FreePages(ctx context.Context, visit func(page []byte) error) error {
	return f.settled(f.freePages(ctx, func(_ *source, _ int64, page []byte) error { return visit(page) }))
}

// freePages tells visit which page it is as well, and from what to read more.
func (f *File) freePages(ctx context.Context, visit func(s *source, number int64, page []byte) error) error {
	used, err := f.used(ctx)
	if err != nil {
		return err
	}
	s, b := &source{file: f.file, size: f.size}, make([]byte, f.meta.pageSize)
	for number := range f.meta.pages {
		if used.has(number) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.read(b, number*f.meta.pageSize); err != nil {
			return fmt.Errorf("page %d: %w", number, err)
		}
		if err := visit(s, number, b); err != nil {
			return err
		}
	}
	return nil
}

// Remains hands out what can still be read in free pages: values whose records were compacted or moved, until a page is written
// to again. One and the same record may be there many times, since bbolt copies a page for each change of it, and also the
// latest value of a key may. It tells what is there, not what is not: of a value that overflows, a part may be left which
// belongs to no record, and which FreePages has.
func (f *File) Remains(ctx context.Context, list []string, visit Visit) error {
	wanted, next := newPrefixes(list), int64(0)
	return f.settled(f.freePages(ctx, func(s *source, number int64, first []byte) error {
		if number < next {
			return nil
		}
		run, err := f.remains(s, number, first)
		if err != nil || run == nil {
			return err
		}
		next = number + int64(len(run))/f.meta.pageSize
		return eachRemaining(run, func(r record) error {
			if r.tombstone || len(r.key) == 0 || !wanted.match(r.key) {
				return nil
			}
			return visit(r.key, r.value, r.revision.main)
		})
	}))
}

// remains reads a page that was a leaf, with what overflowed from it as far as no other page begins there, as every one that is
// used does. Of a page that was no leaf it is nothing.
func (f *File) remains(s *source, number int64, first []byte) ([]byte, error) {
	h := readHeader(first)
	if h.number != number || h.kind != kindLeaf {
		return nil, nil
	}
	if h.overflow == 0 {
		return first, nil
	}
	run := slices.Clip(first)
	last := min(number+h.overflow, f.meta.pages-1, number+maxRun/f.meta.pageSize-1)
	for n := number + 1; n <= last; n++ {
		run = append(run, make([]byte, f.meta.pageSize)...)
		page := run[int64(len(run))-f.meta.pageSize:]
		if err := s.read(page, n*f.meta.pageSize); err != nil {
			return nil, fmt.Errorf("page %d: %w", n, err)
		}
		if readHeader(page).number == n {
			return run[:int64(len(run))-f.meta.pageSize], nil
		}
	}
	return run, nil
}

// eachRemaining hands out the records of a page of which some may lie outside of what is left. Together they are not larger
// than that (rule 4).
func eachRemaining(b []byte, visit func(record) error) error {
	p := page{bytes: b, count: readHeader(b).count}
	room := int64(len(b))
	p.count = min(p.count, (len(b)-headerSize)/elementSize)
	for i := range p.count {
		start, key, value := p.extent(i)
		if start+key+value > int64(len(b)) || key+value > room {
			continue
		}
		room -= key + value
		if r, err := parseRecord(p.element(i)); err == nil {
			if err := visit(r); err != nil {
				return err
			}
		}
	}
	return nil
}
