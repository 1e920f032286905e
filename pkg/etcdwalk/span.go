// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdwalk

import "bytes"

const (
	// crowded is how many keys may lie in the range of a request before it is made narrower. Counting them takes etcd 2 ms or so.
	crowded = 16_384
	// telling is how many values a page must have to tell where many keys lie.
	telling = firstLimit
)

// span is the part of a prefix that is still ahead, and how much of it the next request asks for.
//
// etcd visits each key of a request's range, whatever the limit (rule 7 of the package): a million keys read in a thousand
// pages would be visited five hundred million times. So a request's range ends where the first bytes of the next key
// change, their number being the depth. Where etcd counts too many keys in the range, the depth grows to what the keys of
// the page have in common: at least that one page was in what begins so. Where a range is exhausted it shrinks, by one byte
// at first, and by twice as many each time that the next one is exhausted at once.
type span struct {
	// next is the first key ahead, end the first behind the prefix.
	next, end []byte
	// root is the length of the prefix, depth that of what all keys of the next request begin with.
	root, depth int
	// step is by how many bytes the depth shrinks when the range is exhausted.
	step int
}

func newSpan(prefix, from []byte) span {
	if bytes.Compare(from, prefix) < 0 {
		from = prefix
	}
	return span{next: from, end: prefixEnd(prefix), root: len(prefix), depth: len(prefix), step: 1}
}

// bound is where the next request's range ends, never behind the end. It is always behind the next key.
func (s *span) bound() []byte {
	if s.depth <= s.root {
		return s.end
	}
	return prefixEnd(s.next[:min(s.depth, len(s.next))])
}

// advance takes the answer to a request: the keys of the page, whether the range holds more, and how many keys it held by
// etcd's count, those of the page included. It tells whether the end is reached; there is no next key then.
func (s *span) advance(keys [][]byte, more bool, count int64) (done bool) {
	if !more {
		return s.exhausted()
	}
	last := keys[len(keys)-1]
	if count > crowded && len(keys) >= telling {
		s.depth = max(s.depth, common(keys[0], last))
	}
	s.next, s.step = following(last), 1
	return false
}

// exhausted moves on to what lies behind the range.
func (s *span) exhausted() (done bool) {
	bound := s.bound()
	if bytes.Equal(bound, s.end) {
		s.next = nil
		return true
	}
	s.next, s.depth = bound, max(s.root, len(bound)-s.step)
	s.step *= 2
	return false
}
