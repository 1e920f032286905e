// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdwalk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// numbered are so many keys of a prefix, in order.
func numbered(prefix string, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s%07d", prefix, i)
	}
	return keys
}

func TestWalkHandsOverKeyValueAndRevision(t *testing.T) {
	t.Parallel()
	m := newModelled().with("/r/secrets/a/x", "/r/secretsx", "/r/secrets/b/y", "/r/pods/z")
	var s seen
	result, err := clientOf(t, 0, m).Walk(t.Context(), Options{Prefix: []byte("/r/secrets/")}, s.each)
	require.NoError(t, err)
	assert.Equal(t, Result{Revision: 5, Done: true, Count: 2}, result)
	assert.Equal(t, []string{"/r/secrets/a/x", "/r/secrets/b/y"}, s.keys)
	assert.Equal(t, "v:/r/secrets/b/y", s.values["/r/secrets/b/y"])
	assert.Equal(t, int64(4), s.last)
}

func TestWalkRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"a start outside the prefix": {Prefix: []byte("/a/"), From: []byte("/b/x")},
		"a revision below 0":         {Revision: -1},
		"a limit below 0":            {Limit: -1},
		"a time below 0":             {Within: -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newModelled()
			_, err := clientOf(t, 0, m).Walk(t.Context(), o, nil)
			require.Error(t, err)
			assert.Empty(t, m.requests)
		})
	}
}

func TestACallThatWasEndedByItsCallbackIsGoneOnWithAtTheSameKey(t *testing.T) {
	t.Parallel()
	enough := errors.New("enough")
	keys := numbered("/k/", 100)
	for _, at := range []int{0, 1, 31, 32, 33, 99} {
		c := clientOf(t, 0, newModelled().fill(keys, "v"))
		var s seen
		result, err := c.Walk(t.Context(), Options{Prefix: []byte("/k/")}, func(k, v []byte, r int64) error {
			if len(s.keys) == at {
				return enough
			}
			return s.each(k, v, r)
		})
		require.ErrorIs(t, err, enough)
		assert.Equal(t, at, result.Count)
		assert.False(t, result.Done)
		result, err = c.Walk(t.Context(), Options{Prefix: []byte("/k/"), From: result.Next, Revision: result.Revision}, s.each)
		require.NoError(t, err)
		assert.True(t, result.Done)
		assert.Equal(t, keys, s.keys)
	}
}

func TestACanceledWalkEndsAndTellsHowFarItCame(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	c := clientOf(t, 0, newModelled().fill(numbered("/k/", 1000), "v"))
	count := 0
	result, err := c.Walk(ctx, Options{Prefix: []byte("/k/")}, func([]byte, []byte, int64) error {
		if count++; count == 50 {
			cancel(stop)
		}
		return nil
	})
	require.ErrorIs(t, err, stop)
	assert.Equal(t, 50, result.Count)
	assert.Equal(t, "/k/0000049\x00", string(result.Next))
}

func TestOnePageIsFetchedAheadAndNoMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newModelled().fill(numbered("/k/", 5000), "v")
		_, err := clientOf(t, 0, m).Walk(t.Context(), Options{Prefix: []byte("/k/")}, func(key, _ []byte, _ int64) error {
			synctest.Wait()
			begun := 0 // pages up to that of this key
			for _, r := range m.requests {
				if bytes.Compare(r.GetKey(), key) <= 0 {
					begun++
				}
			}
			require.LessOrEqual(t, len(m.requests), begun+1)
			return nil
		})
		require.NoError(t, err)
		assert.Len(t, m.requests, 6)
	})
}

func TestTheRateIsKeptOverAllCalls(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0.5, 10, 100, 1500} {
		synctest.Test(t, func(t *testing.T) {
			keys := numbered("/k/", 3000)
			c := clientOf(t, rate, newModelled().fill(keys, "v"))
			var s seen
			begun := time.Now()
			o := Options{Prefix: []byte("/k/"), Within: 20 * time.Second}
			for {
				call := time.Now()
				result, err := c.Walk(t.Context(), o, func(k, v []byte, r int64) error {
					allowed := rate*time.Since(begun).Seconds() + max(1, rate)
					require.LessOrEqual(t, float64(len(s.keys)), allowed+1e-6, "after %s", time.Since(begun))
					return s.each(k, v, r)
				})
				require.NoError(t, err)
				require.Positive(t, result.Count, "each call makes headway")
				assert.LessOrEqual(t, time.Since(call), o.Within+time.Duration(max(1, 1/rate)*float64(time.Second)))
				if result.Done {
					break
				}
				o.From, o.Revision = result.Next, result.Revision
			}
			assert.Equal(t, keys, s.keys)
			assert.InEpsilon(t, 3000/rate, time.Since(begun).Seconds(), 0.5, "and it is made use of")
		})
	}
}

func TestAWalkWhoseContextEndsBeforeItsTurnSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var s seen
		_, err := clientOf(t, 0.1, newModelled().with("/a", "/b")).Walk(ctx, Options{}, s.each)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, []string{"/a"}, s.keys)
	})
}

func TestPagesFollowTheSizeOfValues(t *testing.T) {
	t.Parallel()
	m := newModelled().fill(numbered("/1-small/", 3000), "small")
	m.fill(numbered("/2-large/", 20), strings.Repeat("x", 1<<20)).fill(numbered("/3-small/", 3000), "small")
	m.fill([]string{"/4"}, strings.Repeat("x", 10<<20))
	var s seen
	result, err := clientOf(t, 0, m).Walk(t.Context(), Options{}, s.each)
	require.NoError(t, err)
	assert.Equal(t, 6021, result.Count)
	assert.Equal(t, []int64{32, 128, 512, 2000, 2000, 250}, m.limits()[:6])
	refused, large := 0, 0
	for i, r := range m.requests[1:] {
		if string(r.GetKey()) == string(m.requests[i].GetKey()) {
			refused++
		}
		if strings.HasPrefix(string(r.GetKey()), "/2-large/") {
			large++
		}
	}
	assert.LessOrEqual(t, refused, 8, "few pages are asked for in vain")
	assert.LessOrEqual(t, large, 20)
}

func TestAValueThatIsTooLargeIsAnErrorThatNamesItsPlace(t *testing.T) {
	t.Parallel()
	m := newModelled().with("/a", "/b")
	m.put("/c", strings.Repeat("secret", 3<<20))
	var s seen
	result, err := clientOf(t, 0, m).Walk(t.Context(), Options{}, s.each)
	require.EqualError(t, err, `etcd at m1: the value at or after key "/b\x00" has more than 16 MiB`)
	assert.Equal(t, 2, result.Count)
}

func TestARevisionOfLongAgoIsGoneOnWithAtANewOne(t *testing.T) {
	t.Parallel()
	m := newModelled().with("/a", "/b", "/c", "/d")
	m.compacted = 4
	var s seen
	result, err := clientOf(t, 0, m).Walk(t.Context(), Options{From: []byte("/b"), Revision: 3}, s.each)
	require.NoError(t, err)
	assert.Equal(t, Result{Revision: 5, Done: true, Count: 3, Compactions: 1}, result)
	assert.Equal(t, []bool{true, false}, []bool{m.requests[0].GetSerializable(), m.requests[1].GetSerializable()})
}

func TestAnswersThatWereNotAskedForEndTheWalk(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil func(*pb.RangeResponse)
		want  string
	}{
		"keys before the range":   {func(r *pb.RangeResponse) { r.Kvs[0].Key = []byte("/j") }, "keys that were not asked for"},
		"keys behind the range":   {func(r *pb.RangeResponse) { r.Kvs[1].Key = []byte("/l") }, "keys that were not asked for"},
		"keys out of order":       {func(r *pb.RangeResponse) { r.Kvs[0], r.Kvs[1] = r.Kvs[1], r.Kvs[0] }, "in another order"},
		"a key twice":             {func(r *pb.RangeResponse) { r.Kvs[0] = r.Kvs[1] }, "in another order"},
		"no key and more to come": {func(r *pb.RangeResponse) { r.Kvs, r.More = nil, true }, "no value"},
		"no revision":             {func(r *pb.RangeResponse) { r.Header = nil }, "a revision that can't be"},
		"more than was asked for": {func(r *pb.RangeResponse) {
			for range 40 {
				r.Kvs = append(r.Kvs, r.Kvs[0])
			}
		}, "more values"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newModelled().with("/k/a", "/k/b")
			req := &pb.RangeRequest{Key: []byte("/k/"), RangeEnd: []byte("/k0"), Limit: 32}
			resp, err := m.Range(t.Context(), req)
			require.NoError(t, err)
			require.NoError(t, check(req, resp))
			tt.spoil(resp)
			require.ErrorContains(t, check(req, resp), tt.want)
		})
	}
}
