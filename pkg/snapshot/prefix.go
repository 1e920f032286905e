// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"slices"
)

// prefixes are those that a key may have, in order, none the beginning of another.
type prefixes [][]byte

func newPrefixes(list []string) prefixes {
	var kept prefixes
	for _, s := range slices.Sorted(slices.Values(list)) {
		if p := []byte(s); len(kept) == 0 || !bytes.HasPrefix(p, kept[len(kept)-1]) {
			kept = append(kept, p)
		}
	}
	return kept
}

// match is whether the key begins with one of them: if so, with the last one that is not beyond it.
func (p prefixes) match(key []byte) bool {
	i, found := slices.BinarySearchFunc(p, key, bytes.Compare)
	return found || i > 0 && bytes.HasPrefix(key, p[i-1])
}
