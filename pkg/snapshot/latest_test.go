// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestWhatIsInASnapshot(t *testing.T) {
	t.Parallel()
	const secrets = "/registry/secrets/"
	tests := map[string]struct {
		write      func(*testing.T, *store)
		prefixes   []string
		latest     []put
		superseded []put
	}{
		"an empty etcd has nothing": {func(*testing.T, *store) {}, []string{""}, nil, nil},
		"of two values of a key the later one is the latest": {
			func(t *testing.T, s *store) {
				s.put(t, secrets+"a", "old")
				s.put(t, secrets+"b", "b")
				s.put(t, secrets+"a", "new")
			},
			[]string{secrets},
			[]put{{secrets + "a", "new", 4}, {secrets + "b", "b", 3}},
			[]put{{secrets + "a", "old", 2}},
		},
		"other keys are left out": {
			func(t *testing.T, s *store) {
				s.put(t, "/registry/secretstores/x", "no")
				s.put(t, "/registry/configmaps/x", "no")
				s.put(t, secrets+"a", "yes")
				s.put(t, "/registry/secrets", "no")
			},
			[]string{secrets},
			[]put{{secrets + "a", "yes", 4}},
			nil,
		},
		"without a prefix there is nothing": {
			func(t *testing.T, s *store) { s.put(t, secrets+"a", "x") }, nil, nil, nil,
		},
		"a key that was deleted has no latest value": {
			func(t *testing.T, s *store) {
				s.put(t, secrets+"a", "x")
				s.remove(t, secrets+"a")
			},
			[]string{secrets},
			nil,
			[]put{{secrets + "a", "x", 2}},
		},
		"a key that was made again has the value that it has now": {
			func(t *testing.T, s *store) {
				s.put(t, secrets+"a", "x")
				s.remove(t, secrets+"a")
				s.put(t, secrets+"a", "y")
			},
			[]string{secrets},
			[]put{{secrets + "a", "y", 4}},
			[]put{{secrets + "a", "x", 2}},
		},
		"what is compacted is gone": {
			func(t *testing.T, s *store) {
				s.put(t, secrets+"a", "x")
				s.put(t, secrets+"a", "y")
				s.put(t, secrets+"b", "z")
				s.remove(t, secrets+"b")
				s.compact(t, 5, math.MaxInt)
			},
			[]string{secrets},
			[]put{{secrets + "a", "y", 3}},
			nil,
		},
		"a compaction that was begun takes away the oldest": {
			func(t *testing.T, s *store) {
				s.put(t, secrets+"a", "x")
				s.put(t, secrets+"a", "y")
				s.put(t, secrets+"a", "z")
				s.compact(t, 4, 1)
			},
			[]string{secrets},
			[]put{{secrets + "a", "z", 4}},
			[]put{{secrets + "a", "y", 3}},
		},
		"one transaction may change many keys": {
			func(t *testing.T, s *store) {
				s.commit(t, []change{{key: secrets + "a", value: "x"}, {key: secrets + "b", value: "y"}, {key: secrets + "c", deleted: true}})
			},
			[]string{secrets},
			[]put{{secrets + "a", "x", 2}, {secrets + "b", "y", 2}},
			nil,
		},
		"a value may be empty, and a key any bytes": {
			func(t *testing.T, s *store) { s.put(t, secrets+"\xff\x00\x1b[2J", "") },
			[]string{secrets, secrets + "\xff", "/registry/"},
			[]put{{secrets + "\xff\x00\x1b[2J", "", 2}},
			nil,
		},
		"a value may be larger than a page": {
			func(t *testing.T, s *store) {
				s.put(t, secrets+"a", strings.Repeat("x", 1_500_000))
				s.put(t, secrets+"b", strings.Repeat("y", 70_000))
			},
			[]string{secrets},
			[]put{{secrets + "a", strings.Repeat("x", 1_500_000), 2}, {secrets + "b", strings.Repeat("y", 70_000), 3}},
			nil,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestStore(t)
			tt.write(t, s)
			for kind, b := range map[string][]byte{"snapshot": s.snapshot(t), "db file": s.file(t)} {
				f := open(t, b)
				latest, err := all(f.Latest, tt.prefixes...)
				require.NoError(t, err, kind)
				assert.Equal(t, tt.latest, latest, kind)
				superseded, err := all(f.Superseded, tt.prefixes...)
				require.NoError(t, err, kind)
				assert.Equal(t, tt.superseded, superseded, kind)
			}
		})
	}
}

func TestARecordWithoutAKeyIsNoChange(t *testing.T) {
	t.Parallel()
	s := newTestStore(t)
	s.put(t, "a", "x")
	s.raise(t, 1_000_000)
	f := open(t, s.snapshot(t))
	latest, err := all(f.Latest, "")
	require.NoError(t, err)
	assert.Equal(t, []put{{"a", "x", 2}}, latest)
	assert.EqualValues(t, 1_000_000, f.Info().Revision)
}

func TestManyKeysAreReadInParts(t *testing.T) {
	t.Parallel()
	s := newTestStore(t)
	for round := range 3 {
		var transactions [][]change
		for i := range 5000 {
			key := fmt.Sprintf("/registry/secrets/default/s%d", i)
			transactions = append(transactions, []change{{key: key, value: fmt.Sprint(round, i), deleted: i%7 == 0 && round == 1}})
		}
		s.commit(t, transactions...)
	}
	wantLatest, wantSuperseded := s.expect(func(string) bool { return true })
	f := open(t, s.snapshot(t))
	for _, most := range []int{1_000_000, 5000, 4999, 1000, 300} {
		f.maxKeys = most
		latest, err := all(f.Latest, "/")
		require.NoError(t, err)
		assert.Equal(t, wantLatest, latest, most)
		superseded, err := all(f.Superseded, "/")
		require.NoError(t, err)
		assert.Equal(t, wantSuperseded, superseded, most)
	}
}

// Whatever has happened to an etcd, and however little fits into memory.
func TestHistories(t *testing.T) {
	t.Parallel()
	keys := []string{"/registry/secrets/a", "/registry/secrets/b", "/registry/secretsx", "/registry/pods/a", "/r", "x", "/registry/secrets/"}
	parent, count := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		count++
		dir := filepath.Join(parent, fmt.Sprint(count))
		require.NoError(t, os.Mkdir(dir, 0o700))
		defer func() { _ = os.RemoveAll(dir) }()
		s := newStore(t, dir)
		defer func() { _ = s.db.Close() }()
		anyChange := rapid.Custom(func(t *rapid.T) change {
			return change{
				key:     rapid.SampledFrom(keys).Draw(t, "key") + rapid.SampledFrom([]string{"", "1", "2", "3", "\x00"}).Draw(t, "suffix"),
				value:   strings.Repeat(rapid.SampledFrom([]string{"", "v", "w"}).Draw(t, "value"), rapid.SampledFrom([]int{1, 100, 3000, 9000}).Draw(t, "size")),
				deleted: rapid.Bool().Draw(t, "deleted"),
			}
		})
		transaction := rapid.SliceOfNDistinct(anyChange, 1, 4, func(c change) string { return c.key })
		for range rapid.IntRange(0, 12).Draw(t, "steps") {
			if rapid.IntRange(0, 4).Draw(t, "compact") == 0 {
				s.compact(t, rapid.Int64Range(1, s.main).Draw(t, "at"), rapid.IntRange(0, 30).Draw(t, "most"))
				continue
			}
			s.commit(t, rapid.SliceOfN(transaction, 1, 10).Draw(t, "transactions")...)
		}
		prefixes := rapid.SliceOfN(rapid.SampledFrom([]string{"", "/", "/registry/secrets/", "/registry/secrets", "/registry/pods/", "x", "y"}), 0, 3).Draw(t, "prefixes")
		b := s.snapshot(t)
		if rapid.Bool().Draw(t, "db file") {
			b = s.file(t)
		}
		wantLatest, wantSuperseded := s.expect(func(key string) bool { return hasAnyPrefix(key, prefixes) })
		f := open(t, b)
		f.maxKeys = rapid.IntRange(1, 9).Draw(t, "keys at once")
		latest, err := all(f.Latest, prefixes...)
		require.NoError(t, err)
		require.Equal(t, wantLatest, latest)
		superseded, err := all(f.Superseded, prefixes...)
		require.NoError(t, err)
		require.Equal(t, wantSuperseded, superseded)
	})
}

func hasAnyPrefix(key string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(key, p) {
			return true
		}
	}
	return false
}

func TestPrefixesMatchAsEachOfThemDoes(t *testing.T) {
	t.Parallel()
	word := rapid.StringOfN(rapid.SampledFrom([]rune("ab/")), 0, 4, -1)
	rapid.Check(t, func(t *rapid.T) {
		list, key := rapid.SliceOfN(word, 0, 6).Draw(t, "prefixes"), word.Draw(t, "key")
		require.Equal(t, hasAnyPrefix(key, list), newPrefixes(list).match([]byte(key)))
	})
}

func TestFingerprintsAreASet(t *testing.T) {
	t.Parallel()
	// Few homes, so that many gather in one place.
	anyFingerprint := rapid.Custom(func(t *rapid.T) fingerprint {
		return fingerprint{rapid.Uint64Range(1, 4).Draw(t, "high"), rapid.Uint64Range(minSlots-3, minSlots+3).Draw(t, "low")}
	})
	rapid.Check(t, func(t *rapid.T) {
		s, model := newSeen(maxKeys), map[fingerprint]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				if f := anyFingerprint.Draw(t, "fingerprint"); !s.has(f) {
					s.add(f)
					model[f] = true
				}
			},
			"keep": func(t *rapid.T) {
				gone := rapid.Uint64Range(1, 4).Draw(t, "gone")
				wanted := func(f fingerprint) bool { return f.high != gone }
				s.keep(wanted)
				for f := range model {
					if !wanted(f) {
						delete(model, f)
					}
				}
			},
			"": func(t *rapid.T) {
				require.Len(t, model, s.count)
				require.Equal(t, model[fingerprint{1, minSlots}], s.has(fingerprint{1, minSlots}))
				for f := range model {
					require.True(t, s.has(f))
				}
			},
		})
	})
}

func TestFingerprintsStayWhenTheTableGrows(t *testing.T) {
	t.Parallel()
	s := newSeen(maxKeys)
	for i := range 10 * minSlots {
		s.add(s.of(fmt.Append(nil, i)))
	}
	for i := range 10 * minSlots {
		require.True(t, s.has(s.of(fmt.Append(nil, i))))
	}
	assert.False(t, s.has(s.of([]byte("x"))))
	assert.NotEqual(t, s.of([]byte("x")), newSeen(1).of([]byte("x")), "each has a seed of its own")
	s.clear()
	assert.False(t, s.has(s.of(fmt.Append(nil, 1))))
}

func TestAWalkEndsWithItsVisitor(t *testing.T) {
	t.Parallel()
	s := newTestStore(t)
	s.put(t, "a", "x")
	f := open(t, s.snapshot(t))
	mine := errors.New("enough")
	assert.ErrorIs(t, f.Latest(t.Context(), []string{""}, func(_, _ []byte, _ int64) error { return mine }), mine)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, f.Latest(ctx, []string{""}, nil), context.Canceled)
	_, err := New(ctx, bytes.NewReader(s.snapshot(t)), int64(len(s.snapshot(t))), Options{})
	assert.ErrorIs(t, err, context.Canceled)
}

func TestTheTableStopsGrowing(t *testing.T) {
	t.Parallel()
	s := newSeen(maxKeys)
	for i := 0; !s.full(); i++ {
		s.add(fingerprint{uint64(i), uint64(i) * 0x9e3779b97f4a7c15})
	}
	assert.Len(t, s.slots, maxSlots)
	s.keep(func(f fingerprint) bool { return f.high%2 == 0 })
	assert.Equal(t, maxKeys/2, s.count)
}
