// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdwalk

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"pgregory.net/rapid"
)

// anyKey has few different bytes, so that keys have much in common, the last of all bytes among them.
func anyKey() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return string(rapid.SliceOfN(rapid.SampledFrom([]byte{0, '/', '0', 'a', 'b', 0xff}), 1, 6).Draw(t, "key"))
	})
}

// anyMember holds some to many keys, of which some are large.
func anyMember() *rapid.Generator[*modelled] {
	return rapid.Custom(func(t *rapid.T) *modelled {
		m := newModelled()
		m.exaggerate = rapid.SampledFrom([]int64{1, 1000}).Draw(t, "exaggerate")
		least := rapid.SampledFrom([]int{0, 40, 300}).Draw(t, "least")
		keys := rapid.SliceOfNDistinct(anyKey(), least, least+3, rapid.ID).Draw(t, "keys")
		m.fill(keys, "v")
		for _, key := range keys[:len(keys)/50] {
			m.newest()[key] = string(make([]byte, rapid.IntRange(0, 3<<20).Draw(t, "size")))
		}
		return m
	})
}

// walkInCalls walks in calls of random limits, and tells how often the revision changed.
func walkInCalls(t *rapid.T, c *Client, o Options, s *seen) int {
	compactions := 0
	for calls := 0; ; calls++ {
		o.Limit = rapid.SampledFrom([]int{0, 1, 7, 33, 100}).Draw(t, "limit")
		from := len(s.keys)
		result, err := c.Walk(context.Background(), o, s.each)
		require.NoError(t, err)
		require.Equal(t, len(s.keys)-from, result.Count)
		require.True(t, o.Limit == 0 || result.Count <= o.Limit)
		require.True(t, result.Done || result.Count == o.Limit, "a call ends at its limit or at the end")
		require.Less(t, calls, 2000)
		compactions += result.Compactions
		if result.Done {
			assert.Nil(t, result.Next)
			return compactions
		}
		o.From, o.Revision = result.Next, result.Revision
	}
}

// Whatever the sizes of values and pages, where the calls are cut, and what is written meanwhile.
func TestEachKeyOfThePrefixComesOnceAndInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := anyMember().Draw(t, "member")
		prefix := string(rapid.SliceOfN(rapid.SampledFrom([]byte{'/', 'a', 0xff}), 0, 2).Draw(t, "prefix"))
		want := under(m.newest(), prefix, "")
		m.before = func(_ context.Context, req *pb.RangeRequest) error {
			if req.GetRevision() > 0 { // what is written after the first page is not seen
				m.put(prefix+fmt.Sprint(len(m.requests)), "late")
			}
			return nil
		}
		var s seen
		compactions := walkInCalls(t, clientOf(t, 0, m), Options{Prefix: []byte(prefix)}, &s)
		assert.Equal(t, want, s.keys)
		assert.Zero(t, compactions)
		for key, value := range s.values {
			assert.Len(t, value, len(m.newest()[key]))
		}
		for _, r := range m.requests {
			assert.Equal(t, r.GetRevision() > 0, r.GetSerializable(), "what tells the revision is linearizable, no other page")
			assert.LessOrEqual(t, r.GetLimit(), int64(mostValues))
		}
	})
}

// Whenever it is compacted, whatever is written and removed meanwhile.
func TestACompactionLosesNoKeyThatIsThereAllTheTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := anyMember().Draw(t, "member")
		all := under(m.newest(), "", "")
		gone, compactions := map[string]bool{}, 0
		m.before = func(_ context.Context, req *pb.RangeRequest) error {
			if !rapid.Bool().Draw(t, "change") {
				return nil
			}
			if len(all) > 0 {
				key := rapid.SampledFrom(all).Draw(t, "removed")
				gone[key] = true
				m.remove(key)
			}
			m.put("/new"+fmt.Sprint(len(m.requests)), "new")
			if rapid.Bool().Draw(t, "compact") {
				m.compacted = m.revision()
				if req.GetRevision() > 0 {
					compactions++
				}
			}
			return nil
		}
		var s seen
		assert.Equal(t, walkInCalls(t, clientOf(t, 0, m), Options{}, &s), compactions, "each is told")
		assert.True(t, slices.IsSorted(s.keys))
		assert.Len(t, s.values, len(s.keys), "none comes twice")
		for _, key := range all {
			if !gone[key] {
				assert.Contains(t, s.values, key)
			}
		}
	})
}
