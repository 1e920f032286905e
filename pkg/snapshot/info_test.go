// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// noContext is for functions that tests, fuzz tests and properties share.
var noContext = context.Background()

func TestInfo(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		write func(*testing.T, *store)
		want  Info
	}{
		"of an empty etcd": {func(*testing.T, *store) {}, Info{}},
		"of one with changes": {
			func(t *testing.T, s *store) {
				s.put(t, "a", "x")
				s.put(t, "a", "y")
			},
			Info{Revision: 3},
		},
		"after a compaction": {
			func(t *testing.T, s *store) {
				s.put(t, "a", "x")
				s.put(t, "a", "y")
				s.compact(t, 2, math.MaxInt)
			},
			Info{Revision: 3, CompactedRevision: 2, ScheduledCompaction: 2},
		},
		"during a compaction": {
			func(t *testing.T, s *store) {
				s.put(t, "a", "x")
				s.put(t, "a", "y")
				s.compact(t, 3, 0)
			},
			Info{Revision: 3, ScheduledCompaction: 3},
		},
		"where the last change was compacted": {
			func(t *testing.T, s *store) {
				s.put(t, "a", "x")
				s.remove(t, "a")
				s.compact(t, 3, math.MaxInt)
			},
			Info{Revision: 3, CompactedRevision: 3, ScheduledCompaction: 3},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestStore(t)
			tt.write(t, s)
			b := s.snapshot(t)
			got := open(t, b).Info()
			assert.EqualValues(t, len(b)-32, got.Size)
			assert.Equal(t, got.Size, got.Pages*got.PageSize, "a snapshot has no pages that were never used")
			tt.want.Size, tt.want.PageSize, tt.want.Pages = got.Size, got.PageSize, got.Pages
			tt.want.Hash, tt.want.ConsistentIndex, tt.want.Term = HashFits, 4711, 7
			assert.Equal(t, tt.want, got)
			assert.Equal(t, HashAbsent, open(t, s.file(t)).Info().Hash)
		})
	}
}

func TestWhatIsLeftInFreePages(t *testing.T) {
	t.Parallel()
	const secret = "the old value"
	s := newTestStore(t)
	for i := range 500 {
		s.put(t, fmt.Sprintf("/registry/secrets/s%d", i), secret)
	}
	large := strings.Repeat("a large old value ", 1000)
	s.put(t, "/registry/secrets/large", large)
	for i := range 500 {
		s.put(t, fmt.Sprintf("/registry/secrets/s%d", i), "encrypted")
	}
	s.put(t, "/registry/secrets/large", "encrypted")
	s.compact(t, s.main, math.MaxInt)
	f := open(t, s.snapshot(t))

	superseded, err := all(f.Superseded, "")
	require.NoError(t, err)
	assert.Empty(t, superseded, "nothing of it is in the database")
	found := 0
	require.NoError(t, f.FreePages(t.Context(), func(page []byte) error {
		assert.Len(t, page, int(f.Info().PageSize))
		found += bytes.Count(page, []byte(secret))
		return nil
	}))
	assert.Positive(t, found, "but it still is in the file")

	remains, err := all(f.Remains, "/registry/secrets/")
	require.NoError(t, err)
	values := map[string]int{}
	for _, r := range remains {
		values[r.Value]++
	}
	assert.Positive(t, values[secret])
	assert.Positive(t, values[large], "also of a value that is larger than a page")
	none, err := all(f.Remains, "/registry/pods/")
	require.NoError(t, err)
	assert.Empty(t, none)
}

func TestNoPageIsBothFreeAndUsed(t *testing.T) {
	t.Parallel()
	s := newTestStore(t)
	for i := range 3000 {
		s.put(t, fmt.Sprint(i%100), strings.Repeat("x", i))
	}
	f := open(t, s.snapshot(t))
	used, err := f.used(t.Context())
	require.NoError(t, err)
	free := 0
	require.NoError(t, f.FreePages(t.Context(), func([]byte) error { free++; return nil }))
	counted := 0
	for page := range f.meta.pages {
		if used.has(page) {
			counted++
		}
	}
	assert.EqualValues(t, f.Info().Pages, free+counted)
	assert.Equal(t, s.freePages(t), free, "as many as bbolt itself counts")
}

func TestWhatRemainsIsReadFromEachPageThatWasALeaf(t *testing.T) {
	t.Parallel()
	s := newTestStore(t)
	b := s.snapshot(t)
	b = b[:len(b)-32]
	next := int64(len(b) / pageSize)
	remaining := func(revisionOfIt int64, value string) leafElement {
		r := revision{main: revisionOfIt}
		return leafElement{0, string(recordKey(r, false)), recordValue(r, change{key: "k", value: value})}
	}
	large := strings.Repeat("x", pageSize)
	shared := encodePage(next+4, kindLeaf, 0, remaining(6, large[:3000]), remaining(6, large[:3000])) // the second one lies beyond
	copy(shared[headerSize+elementSize:], shared[headerSize:headerSize+elementSize])
	shared[headerSize+elementSize+4] -= elementSize // and now where the first one is
	b = withPages(
		b,
		encodePage(next, kindLeaf, 2, remaining(2, "before"), remaining(3, large))[:pageSize], // the rest is another page now
		encodePage(next+1, kindLeaf, 1, remaining(4, "whole"), remaining(5, large)),
		make([]byte, pageSize),
		shared,
		encodePage(next+5, kindLeaf, 1<<4, remaining(7, "last"))[:pageSize],
	)
	f := open(t, b)
	got, err := all(f.Remains, "")
	require.NoError(t, err)
	assert.Equal(t, []put{
		{"k", "before", 2}, {"k", "last", 7}, {"k", "whole", 4}, {"k", large[:3000], 6}, {"k", large, 5},
	}, got)
	got, err = all(f.Latest, "")
	require.NoError(t, err)
	assert.Empty(t, got)
}

func TestAFreelistThatIsInTheFileIsNotFree(t *testing.T) {
	t.Parallel()
	s := newTestStore(t)
	for i := range 100 {
		s.put(t, fmt.Sprint(i), strings.Repeat("x", 1000))
	}
	s.db.NoFreelistSync = false
	s.put(t, "a", "x")
	f := open(t, s.snapshot(t))
	require.Positive(t, f.meta.freelist)
	used, err := f.used(t.Context())
	require.NoError(t, err)
	assert.True(t, used.has(f.meta.freelist))
}
