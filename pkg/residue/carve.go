// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package residue

import (
	"bytes"
	"errors"
	"io"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

// Bounds of a record, in bytes.
const (
	// maxKey is longer than a key of kube-apiserver can be: a prefix, a resource, a namespace and a name.
	maxKey = 4096
	// headSize is what is looked at of a value: the longest prefix has no 400 (stored.MaxName).
	headSize = 512
	// maxVarint is the longest number of protobuf.
	maxVarint = 10
	// maxValue is more than etcd takes in one request, which is 1.5 MiB unless --max-request-bytes says otherwise.
	maxValue = 64 << 20
	// Reach is how far the bytes that are looked at for one record go from where it begins, at most.
	Reach = 1 + maxVarint + maxKey + 4*(1+maxVarint) + headSize
)

// The tags of the fields, as rule 1 has them: number and wire type.
const (
	tagKey            = 1<<3 | 2
	tagCreateRevision = 2 << 3
	tagModRevision    = 3 << 3
	tagVersion        = 4 << 3
	tagDatabaseValue  = 5<<3 | 2
	tagLogValue       = 2<<3 | 2
)

// Record is what begins like a record of a value.
type Record struct {
	// Key is a part of the bytes that were searched.
	Key []byte
	// Revision at which it was written, 0 in a log, which has none.
	Revision int64
	// Mark is what the value says of its key. KeyID is not read, and Damaged not told (rule 2).
	Mark stored.Mark
}

// Carver searches bytes for records. It must not be used by two goroutines at once.
type Carver struct {
	form  Form
	root  []byte
	marks stored.Reader
}

// NewCarver searches for keys below the root, etcdkey.Layout's, which ends with a slash.
func NewCarver(form Form, root string) *Carver { return &Carver{form: form, root: []byte(root)} }

// Carve visits the records that begin in the first done bytes of b. The others may be cut off: the caller searches again from
// there, with what follows. Unless last, b must be longer than Reach for done to be more than 0; if last, nothing follows and
// done is all of b.
func (c *Carver) Carve(b []byte, last bool, visit func(Record)) (done int) {
	if done = len(b); !last {
		done = max(0, len(b)-Reach)
	}
	for from := 0; ; {
		at := bytes.Index(b[from:], c.root)
		if at < 0 {
			return done
		}
		at += from
		from = at + len(c.root)
		start, length, ok := keyAt(b, at)
		switch {
		case !ok:
		case start >= done:
			return done
		case length >= len(c.root) && length <= min(maxKey, len(b)-at):
			if r, ok := c.record(b[at:at+length], b[at+length:]); ok {
				visit(r)
			}
		}
	}
}

// Block reads a block of a file at an offset, as long as it is, and visits the records that begin in it. Next is where the next
// one is to be read, unless it was the last. The block must be longer than Reach.
func (c *Carver) Block(file io.ReaderAt, offset int64, block []byte, visit func(Record)) (next int64, last bool, err error) {
	n, err := file.ReadAt(block, offset)
	if last = errors.Is(err, io.EOF); err != nil && !last {
		return offset, false, err
	}
	return offset + int64(c.Carve(block[:n], last, visit)), last, nil
}

// keyAt finds the tag and the length that stand before a key, and where they begin.
func keyAt(b []byte, at int) (start, length int, ok bool) {
	for size := 1; size <= 2; size++ { // maxKey takes no more
		start := at - size - 1
		if start < 0 || b[start] != tagKey {
			continue
		}
		n, used := protowire.ConsumeVarint(b[start+1 : at])
		if used == size {
			return start, int(n), true //nolint:gosec // two bytes of a number are 14 bits
		}
	}
	return 0, 0, false
}

// record reads what follows a key.
func (c *Carver) record(key, rest []byte) (Record, bool) {
	r := Record{Key: key}
	ok := true
	tag := byte(tagLogValue)
	if c.form == Database {
		var created, version int64
		created, rest, ok = number(rest, tagCreateRevision, ok)
		r.Revision, rest, ok = number(rest, tagModRevision, ok)
		version, rest, ok = number(rest, tagVersion, ok)
		ok = ok && created > 0 && created <= r.Revision && version > 0
		tag = tagDatabaseValue
	}
	size, rest, ok := number(rest, tag, ok)
	if !ok || size <= 0 || size > maxValue {
		return Record{}, false
	}
	r.Mark = c.marks.Read(rest[:min(int64(len(rest)), size, headSize)])
	r.Mark.Damaged, r.Mark.KeyID = false, ""
	return r, r.Mark.Form != stored.Undecodable
}

// number reads a tag and the number behind it, if all was well until then.
func number(b []byte, tag byte, ok bool) (n int64, rest []byte, _ bool) {
	if !ok || len(b) == 0 || b[0] != tag {
		return 0, nil, false
	}
	value, size := protowire.ConsumeVarint(b[1:])
	if size < 0 {
		return 0, nil, false
	}
	return int64(value), b[1+size:], true //nolint:gosec // what becomes negative is refused by the caller
}
