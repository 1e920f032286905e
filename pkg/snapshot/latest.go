// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import "context"

// Visit takes a key, a value of it and the revision at which that was written. The slices are valid until it returns. An error
// ends the walk, and is what it returns.
type Visit func(key, value []byte, modRevision int64) error

// Latest hands out the value that each key has which begins with one of the prefixes, in no order. A key that was
// deleted has none. The prefix "" is every key; without a prefix there is none.
func (f *File) Latest(ctx context.Context, prefixes []string, visit Visit) error {
	return f.records(ctx, prefixes, func(r record, superseded bool) error {
		if superseded || r.tombstone {
			return nil
		}
		return visit(r.key, r.value, r.revision.main)
	})
}

// Superseded hands out the values that such keys had before, also those of keys that were deleted, as far as etcd has not
// yet compacted them: they are still read at an older revision, and are part of every snapshot.
func (f *File) Superseded(ctx context.Context, prefixes []string, visit Visit) error {
	return f.records(ctx, prefixes, func(r record, superseded bool) error {
		if !superseded || r.tombstone {
			return nil
		}
		return visit(r.key, r.value, r.revision.main)
	})
}

// part is one of the parts that the fingerprints fall into (rule 10): those that begin with so many bits.
type part struct {
	bits  uint64
	depth uint // how many they are, up to 64
	// done is down to where the records of these keys were handed out: those after it were.
	done revision
}

func (p part) holds(f fingerprint) bool { return f.high>>(64-p.depth) == p.bits }

// halve leaves p with one half and returns the other one, whose records after at were handed out. That is not after p.done:
// what was handed out of p before was all among the keys that were remembered.
func (p *part) halve(at revision) part {
	p.depth++
	p.bits <<= 1
	return part{bits: p.bits | 1, depth: p.depth, done: at}
}

// records hands out every record of every key with one of the prefixes once, and whether there is a later one of that key.
func (f *File) records(ctx context.Context, list []string, visit func(r record, superseded bool) error) error {
	wanted := newPrefixes(list)
	if len(wanted) == 0 {
		return ctx.Err()
	}
	s := newSeen(f.maxKeys)
	for todo := []part{{done: beyondAll()}}; len(todo) > 0; {
		p := pass{part: todo[len(todo)-1], wanted: wanted, seen: s, last: beyondAll(), hand: visit}
		s.clear()
		if err := f.settled(f.walk(ctx, backward).tree(f.keys, p.visit)); err != nil {
			return err
		}
		todo = append(todo[:len(todo)-1], p.left...)
	}
	return nil
}

// pass is one walk over the bucket "key", backwards.
type pass struct {
	part   part
	left   []part // what did not fit
	wanted prefixes
	seen   *seen
	last   revision // of the record before
	hand   func(r record, superseded bool) error
}

func (p *pass) visit(e element) error {
	r, err := parseRecord(e)
	if err != nil {
		return err
	}
	if r.revision.compare(p.last) >= 0 {
		return damaged("a revision is there twice")
	}
	p.last = r.revision
	if len(r.key) == 0 || !p.wanted.match(r.key) {
		return nil
	}
	key := p.seen.of(r.key)
	if !p.part.holds(key) {
		return nil
	}
	known := p.seen.has(key)
	if !known && !p.room(key, r.revision) {
		return nil
	}
	if r.revision.compare(p.part.done) > 0 {
		return nil
	}
	return p.hand(r, known)
}

// room puts a key in, and is whether it is still in the part that is looked at.
func (p *pass) room(key fingerprint, at revision) bool {
	for p.seen.full() {
		p.left = append(p.left, p.part.halve(at))
		p.seen.keep(p.part.holds)
		if !p.part.holds(key) {
			return false
		}
	}
	p.seen.add(key)
	return true
}
