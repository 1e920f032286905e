// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import "encoding/binary"

// A page begins with its number (8 bytes), its kind (2), how many elements it has (2) and how many pages follow that belong to it
// (4). Then come the elements, then their keys and values. An element of a leaf is flags, position, length of the key
// and length of the value, one of a branch is position, length of the key and number of the page (8 bytes, all others 4).
// Positions count from the element.
const (
	headerSize  = 16
	elementSize = 16
	kindBranch  = 0x01
	kindLeaf    = 0x02
	flagBucket  = 0x01
	// bucketSize is what begins the value of a bucket: number of its root page, or 0 if the page itself follows, and a sequence.
	bucketSize = 16
)

// page is one with all that follows it, checked: its elements can be read without looking.
type page struct {
	bytes  []byte
	branch bool
	count  int
}

// element is one of a leaf. Its bytes are those of the page.
type element struct {
	key, value []byte
	bucket     bool
}

// header is what a page says of itself.
type header struct {
	number   int64
	kind     uint16
	count    int
	overflow int64 // pages that follow
}

// readHeader reads the first headerSize bytes of a page.
func readHeader(b []byte) header {
	return header{
		number:   number(b),
		kind:     binary.LittleEndian.Uint16(b[8:]),
		count:    int(binary.LittleEndian.Uint16(b[10:])),
		overflow: int64(binary.LittleEndian.Uint32(b[12:])),
	}
}

// parsePage checks a page, of which all bytes are given.
func parsePage(b []byte) (page, error) {
	if len(b) < headerSize {
		return page{}, damaged("a page is too short")
	}
	h := readHeader(b)
	if h.kind != kindBranch && h.kind != kindLeaf {
		return page{}, damaged("it is neither a branch nor a leaf")
	}
	p := page{bytes: b, branch: h.kind == kindBranch, count: h.count}
	first := headerSize + h.count*elementSize
	used := int64(first)
	for i := 0; i < h.count && used <= int64(len(b)); i++ {
		start, key, value := p.extent(i)
		used += key + value
		if key == 0 || start < int64(first) || start+key+value > int64(len(b)) {
			return page{}, damaged("an element lies outside of it")
		}
	}
	if used > int64(len(b)) {
		return page{}, damaged("its elements are larger than itself")
	}
	return p, nil
}

// extent is where an element lies: the offset of its key in the page, the length of the key and that of the value that follows,
// in bytes. The page holds all its elements, which parsePage sees to, but maybe not what they tell.
func (p page) extent(i int) (start, key, value int64) {
	at := headerSize + i*elementSize
	e := p.bytes[at : at+elementSize]
	if p.branch {
		return int64(at) + u32(e), u32(e[4:]), 0
	}
	return int64(at) + u32(e[4:]), u32(e[8:]), u32(e[12:])
}

// child is the page that an element of a branch leads to.
func (p page) child(i int) int64 { return number(p.bytes[headerSize+i*elementSize+8:]) }

// element is one of a leaf.
func (p page) element(i int) element {
	start, key, value := p.extent(i)
	end := start + key
	return element{
		key:    p.bytes[start:end:end],
		value:  p.bytes[end : end+value : end+value],
		bucket: p.bytes[headerSize+i*elementSize]&flagBucket != 0,
	}
}

func u32(b []byte) int64 { return int64(binary.LittleEndian.Uint32(b)) }
