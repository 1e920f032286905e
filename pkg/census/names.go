// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package census

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// FirstNames is how many names of a group are kept unless more are asked for.
	FirstNames = 100
	// AllNames keeps every one. Memory then grows with the number of values that are not Current.
	AllNames = -1
)

// maxName is the length in bytes that a name is cut to: more than a namespace and a name can have.
const maxName = 512

// text makes what stands in etcd text that may go anywhere: what is no UTF-8 or can't be printed, such as what steers a terminal
// or turns the direction of writing, is spelled \xff, \x1b, \u202e; a backslash \\, so that no two texts look alike.
func text(s string) string {
	if strings.IndexFunc(s, odd) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case r == '\\':
			b.WriteString(`\\`)
		case !odd(r):
			b.WriteString(s[:size])
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		s = s[size:]
	}
	return b.String()
}

// odd tells whether a rune is not kept as it is.
func odd(r rune) bool { return r == '\\' || !unicode.IsPrint(r) }

// shown is an object's name as it is kept.
func shown(name []byte) string {
	if len(name) > maxName {
		return text(string(name[:maxName])) + "…"
	}
	return text(string(name))
}

// insert adds a name to those kept, which are sorted, and drops the last one of too many. Names mostly come in order, so it
// looks at the last one first. If all are kept they are only appended: there may be a million, and no order that they come in. Who
// hands them out sorts them.
func insert(names []string, name []byte, limit int) []string {
	if limit < 0 {
		return append(names, shown(name))
	}
	full := len(names) >= limit
	if full && (limit == 0 || string(name) >= names[limit-1] && plain(name)) {
		return names
	}
	s := shown(name)
	at := len(names)
	if at > 0 && s < names[at-1] {
		at, _ = slices.BinarySearch(names, s)
	}
	names = slices.Insert(names, at, s)
	if full {
		names = names[:limit]
	}
	return names
}

// plain tells that a name is kept as it is.
func plain(name []byte) bool {
	return len(name) <= maxName && utf8.Valid(name) && bytes.IndexFunc(name, odd) < 0
}

// inOrder is a sorted copy.
func inOrder(names []string) []string {
	copied := slices.Clone(names)
	slices.Sort(copied)
	return copied
}

// first sorts names and drops the last of too many.
func first(names []string, limit int) []string {
	slices.Sort(names)
	if limit >= 0 && len(names) > limit {
		names = names[:limit]
	}
	return names
}
