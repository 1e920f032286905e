// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"encoding/binary"
	"hash/fnv"
	"io"
	"math"
	"math/bits"
)

// The meta page, as bbolt lays it out behind the header of the page: magic, version, page size and flags of 4 bytes each, then
// root page and sequence of the bucket of buckets, page of the freelist, high-water mark, transaction and checksum of 8 each.
const (
	magic         = 0xED0CDAED
	formatVersion = 2
	metaSize      = 64
	metaSummed    = 56
	// etcd's pages have the size of the machine's.
	minPageSize = 4 << 10
	maxPageSize = 64 << 10
	// maxSize is far beyond the 8 GiB that etcd advises at most.
	maxSize = 1 << 40
)

// meta is the state of the database after a commit.
type meta struct {
	pageSize int64 // in bytes
	root     int64 // page of the bucket of buckets
	pages    int64 // the high-water mark: pages from this one on are not in use
	commit   uint64
}

// readMeta finds the newest meta page that is whole. size is that of the database, in bytes.
func readMeta(file io.ReaderAt, size int64) (meta, error) {
	if size > maxSize {
		return meta{}, foreign("it is larger than 1 TiB")
	}
	newest, err := metaAt(file, size, 0)
	second := []int64{newest.pageSize}
	if err != nil {
		second = second[:0]
		for s := int64(minPageSize); s <= maxPageSize; s *= 2 {
			second = append(second, s)
		}
	}
	for _, offset := range second {
		other, otherErr := metaAt(file, size, offset)
		if otherErr == nil && other.pageSize == offset && (err != nil || other.commit > newest.commit) {
			newest, err = other, nil
		}
	}
	if err != nil {
		return meta{}, err
	}
	return newest, newest.check(size)
}

// metaAt reads one of the two meta pages.
func metaAt(file io.ReaderAt, size, offset int64) (meta, error) {
	b := make([]byte, metaSize)
	if offset+headerSize+metaSize > size {
		return meta{}, foreign("it is too small")
	}
	if err := readFull(file, b, offset+headerSize); err != nil {
		return meta{}, err
	}
	order := binary.LittleEndian
	switch found := order.Uint32(b); {
	case found == bits.ReverseBytes32(magic):
		return meta{}, foreign("it is of a big-endian machine, which can't be read here")
	case found != magic:
		return meta{}, foreign("it does not begin as one")
	}
	sum := fnv.New64a()
	_, _ = sum.Write(b[:metaSummed])
	if sum.Sum64() != order.Uint64(b[metaSummed:]) {
		return meta{}, damaged("its first pages do not have the checksum that they tell")
	}
	if order.Uint32(b[4:]) != formatVersion {
		return meta{}, foreign("its format has another version")
	}
	m := meta{
		pageSize: int64(order.Uint32(b[8:])),
		root:     number(b[16:]),
		pages:    number(b[40:]),
		commit:   order.Uint64(b[48:]),
	}
	if m.pageSize < minPageSize || m.pageSize > maxPageSize || m.pageSize&(m.pageSize-1) != 0 {
		return meta{}, damaged("it says that its pages have %d bytes", m.pageSize)
	}
	return m, nil
}

// check looks whether the file holds what its meta page promises.
func (m meta) check(size int64) error {
	switch {
	case m.pages < 3:
		return damaged("it says that it has %d pages", m.pages)
	case m.pages > size/m.pageSize:
		return damaged("it was cut: it has had %d pages of %d bytes, and has %d bytes now", m.pages, m.pageSize, size)
	case m.root < 2 || m.root >= m.pages:
		return damaged("its root is not one of its pages")
	}
	return nil
}

// heads reads both meta pages as they are: they are others after every commit.
func (m meta) heads(file io.ReaderAt) ([2][metaSize]byte, error) {
	var both [2][metaSize]byte
	for i := range both {
		if err := readFull(file, both[i][:], int64(i)*m.pageSize+headerSize); err != nil {
			return both, err
		}
	}
	return both, nil
}

// number reads 8 bytes. One that no page, offset or count can be is -1.
func number(b []byte) int64 {
	n := binary.LittleEndian.Uint64(b)
	if n > math.MaxInt64 {
		return -1
	}
	return int64(n)
}
