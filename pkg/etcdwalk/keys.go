// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdwalk

import (
	"bytes"
	"slices"
)

// prefixEnd is the first key after all keys that begin with the prefix. An empty one stands for the end of all keys.
func prefixEnd(prefix []byte) []byte {
	end := slices.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}

// noEnd is how a request says that its range has no end, and that it begins with the first of all keys
// (go.etcd.io/etcd/api/v3@v3.7.0 etcdserverpb/rpc.proto, RangeRequest).
const noEnd = "\x00"

// withMark is what a request says for a key or an end that is empty.
func withMark(key []byte) []byte {
	if len(key) == 0 {
		return []byte(noEnd)
	}
	return key
}

// withoutMark undoes withMark for an end. No key comes before the mark, so it is the end of no other range.
func withoutMark(end []byte) []byte {
	if string(end) == noEnd {
		return nil
	}
	return end
}

// following is the first key after this one.
func following(key []byte) []byte { return append(slices.Clone(key), 0) }

// before tells whether the key comes before an end, which is as that of prefixEnd.
func before(key, end []byte) bool { return len(end) == 0 || bytes.Compare(key, end) < 0 }

// common is the number of bytes in which both begin.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
