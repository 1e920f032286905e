// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdwalk

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestPrefixEndIsTheFirstKeyBehind(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{"": "", "a": "b", "/a/": "/a0", "a\xff": "b", "\xff\xff": "", "a\xff\xffb": "a\xff\xffc"} {
		assert.Equal(t, want, string(prefixEnd([]byte(prefix))), "%q", prefix)
	}
}

// What etcd looks at to serve a walk of n keys, in keys: layouts of names as clusters have them.
func TestEtcdDoesNotCountAllKeysForEachPage(t *testing.T) {
	t.Parallel()
	const n = 60_000
	layouts := map[string]func(i int) string{
		"few large namespaces":  func(i int) string { return fmt.Sprintf("/registry/secrets/ns-%d/secret-%07d", i%3, i) },
		"many small namespaces": func(i int) string { return fmt.Sprintf("/registry/secrets/team-%05d/tls-%d", i/10, i%10) },
		"hashes":                func(i int) string { return fmt.Sprintf("/registry/secrets/default/%08x", uint32(i)*2654435761) },
		"one long name":         func(i int) string { return fmt.Sprintf("/registry/secrets/default/a-very-long-name-of-a-secret-%d", i) },
	}
	for name, key := range layouts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys := make([]string, n)
			for i := range keys {
				keys[i] = key(i)
			}
			m := newModelled().fill(keys, "v")
			var s seen
			result, err := clientOf(t, 0, m).Walk(t.Context(), Options{Prefix: []byte("/registry/secrets/")}, s.each)
			require.NoError(t, err)
			assert.Equal(t, n, result.Count)
			pages := n / mostValues
			t.Logf("%d requests for %d pages, %d visits for %d keys", len(m.requests), pages, m.visited, n)
			assert.Less(t, len(m.requests), 3*pages)
			assert.Less(t, m.visited, int64(n*pages/2), "else each page would visit half of the keys")
		})
	}
}

// Whatever sizes come, and whichever pages fail.
func TestASizerKeepsItsBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]float64{0, 0.1, 1, 40, 1e9}).Draw(t, "rate")
		s := newSizer(rate)
		for range 20 {
			limit := s.limit
			assert.True(t, 1 <= limit && limit <= mostValues && (rate == 0 || float64(limit) <= max(1, rate)))
			if rapid.Bool().Draw(t, "reduce") {
				assert.Equal(t, limit > 1, s.reduce(limit))
				assert.Equal(t, max(1, limit/reduction), s.limit)
				continue
			}
			values := rapid.IntRange(0, limit).Draw(t, "values")
			bytes := rapid.IntRange(values, mostBytes).Draw(t, "bytes")
			s.fitted(values, bytes)
			assert.LessOrEqual(t, s.limit, growth*limit)
			if values > 0 && s.limit > 1 {
				assert.LessOrEqual(t, s.limit*bytes/values, aimedBytes+s.limit, "as large as those before they fit")
			}
		}
	})
}

func TestALargeValueIsRememberedForSomePages(t *testing.T) {
	t.Parallel()
	s := newSizer(0)
	s.fitted(1, 1<<20)
	assert.Equal(t, 2, s.limit)
	var limits []int
	for range 6 {
		s.fitted(s.limit, s.limit*100)
		limits = append(limits, s.limit)
	}
	assert.Equal(t, []int{4, 8, 16, 32, 64, 128}, limits)
}
