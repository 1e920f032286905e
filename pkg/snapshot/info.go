// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"encoding/binary"
	"errors"
)

// Info is what a file says of itself. A number that the file does not tell is 0.
type Info struct {
	// Size of the database, in bytes; a hash is not counted.
	Size int64
	// PageSize is that of a page, in bytes.
	PageSize int64
	// Pages are those that were ever in use; the file may be larger.
	Pages int64
	// Hash is whether the file is as etcd sent it.
	Hash Hash
	// Revision is the highest, as etcd takes it when it starts: of the last change, or of a compaction beyond it.
	Revision int64
	// CompactedRevision is up to where superseded values were taken away.
	CompactedRevision int64
	// ScheduledCompaction is up to where they are to be; above CompactedRevision, compaction was not done when the file was
	// written.
	ScheduledCompaction int64
	// ConsistentIndex and Term are those of the last entry of the log that was applied.
	ConsistentIndex, Term uint64
}

// errEnough ends a walk that has found what it looked for.
var errEnough = errors.New("found")

// readInfo finds the buckets and reads what Info tells.
func (f *File) readInfo(ctx context.Context) error {
	var found, metaFound bool
	var details bucket
	err := f.walk(ctx, forward).tree(bucket{root: f.meta.root}, func(e element) error {
		var err error
		switch string(e.key) {
		case "key":
			found = true
			f.keys, err = f.bucket(e)
		case "meta":
			metaFound = true
			details, err = f.bucket(e)
		}
		return err
	})
	if err != nil {
		return err
	}
	if !found || !metaFound {
		return foreign("it is a database of bbolt, but has not the buckets of etcd")
	}
	if err := f.walk(ctx, forward).tree(details, f.readDetail); err != nil {
		return err
	}
	err = f.walk(ctx, backward).tree(f.keys, func(e element) error {
		r, _, err := parseRevision(e)
		f.info.Revision = r.main
		return errors.Join(err, errEnough)
	})
	f.info.Revision = max(f.info.Revision, f.info.CompactedRevision, f.info.ScheduledCompaction)
	if errors.Is(err, ErrDamaged) || !errors.Is(err, errEnough) {
		return err
	}
	return nil
}

// readDetail reads one entry of the bucket "meta".
func (f *File) readDetail(e element) error {
	switch string(e.key) {
	case "finishedCompactRev":
		return compaction(e, &f.info.CompactedRevision)
	case "scheduledCompactRev":
		return compaction(e, &f.info.ScheduledCompaction)
	case "consistent_index":
		return index(e, &f.info.ConsistentIndex)
	case "term":
		return index(e, &f.info.Term)
	}
	return nil
}

// compaction reads a revision that is written as those of the records are.
func compaction(e element, to *int64) error {
	r, _, err := parseRevision(element{key: e.value})
	*to = r.main
	return err
}

func index(e element, to *uint64) error {
	if len(e.value) != 8 {
		return damaged("an index of the log has %d bytes", len(e.value))
	}
	*to = binary.BigEndian.Uint64(e.value)
	return nil
}
