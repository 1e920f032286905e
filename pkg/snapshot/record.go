// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"cmp"
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// The key of a record is its revision: main and sub of 8 bytes each, most significant first, with '_' between; then 't' if it
// is a tombstone.
const (
	revisionSize  = 8 + 1 + 8
	tombstoneSize = revisionSize + 1
)

// The fields of mvccpb.KeyValue that are read.
const (
	fieldKey   protowire.Number = 1
	fieldValue protowire.Number = 5
)

// revision is when a change was made: main counts transactions, sub the changes within one.
type revision struct{ main, sub int64 }

func (r revision) compare(other revision) int {
	return cmp.Or(cmp.Compare(r.main, other.main), cmp.Compare(r.sub, other.sub))
}

// beyondAll is a revision that comes after every other.
func beyondAll() revision { return revision{math.MaxInt64, math.MaxInt64} }

// record is one change of a key. Its bytes are those of the page.
type record struct {
	key, value []byte
	revision   revision
	tombstone  bool
}

// parseRevision reads the key of a record.
func parseRevision(e element) (r revision, tombstone bool, err error) {
	b := e.key
	switch {
	case e.bucket, len(b) != revisionSize && len(b) != tombstoneSize, b[8] != '_':
		return revision{}, false, damaged("a revision is none")
	case len(b) == tombstoneSize && b[revisionSize] != 't':
		return revision{}, false, damaged("a revision has a mark that is not known")
	}
	main, sub := binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[9:])
	if main > math.MaxInt64 || sub > math.MaxInt64 {
		return revision{}, false, damaged("a revision is negative")
	}
	return revision{int64(main), int64(sub)}, len(b) == tombstoneSize, nil
}

// parseRecord reads one element of the bucket "key". A record without a key is one that etcdutl snapshot restore writes
// to raise the revision (--bump-revision): no change of any key.
func parseRecord(e element) (record, error) {
	var r record
	var err error
	if r.revision, r.tombstone, err = parseRevision(e); err != nil {
		return record{}, err
	}
	for b := e.value; len(b) > 0; {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return record{}, undecodable(r.revision)
		}
		b = b[n:]
		if field != fieldKey && field != fieldValue {
			if n = protowire.ConsumeFieldValue(field, kind, b); n < 0 {
				return record{}, undecodable(r.revision)
			}
			b = b[n:]
			continue
		}
		content, n := protowire.ConsumeBytes(b)
		if n < 0 || kind != protowire.BytesType {
			return record{}, undecodable(r.revision)
		}
		if b = b[n:]; field == fieldKey {
			r.key = content
		} else {
			r.value = content
		}
	}
	return r, nil
}

func undecodable(r revision) error {
	return damaged("the record of revision %d can't be decoded", r.main)
}
