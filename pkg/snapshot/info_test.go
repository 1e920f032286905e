// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
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
