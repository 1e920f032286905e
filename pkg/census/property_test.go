// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package census

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

// value is one stored value of a resource.
type value struct {
	resource, name string
	mark           stored.Mark
	stray          bool
}

func anyValue() *rapid.Generator[value] {
	return rapid.Custom(func(t *rapid.T) value {
		v := value{
			resource: rapid.SampledFrom([]string{"secrets", "configmaps", "deployments.apps", "pods"}).Draw(t, "resource"),
			name:     rapid.OneOf(rapid.StringMatching(`[ab]/[a-c]{1,2}`), rapid.SampledFrom([]string{"\xff", `\`, "a\xfe"})).Draw(t, "name"),
			stray:    rapid.IntRange(0, 9).Draw(t, "stray") == 0,
		}
		v.mark = rapid.SampledFrom([]stored.Mark{
			plaintext, garbage, foreign, forgotten, under(key1), under(key2), under(key2), under(key2), under(key3), under(plugin), damaged(key1),
		}).Draw(t, "mark")
		if v.mark.Form == stored.Encrypted && rapid.Bool().Draw(t, "of another key") {
			v.mark.Key = rapid.StringMatching(`[0-9]`).Draw(t, "key")
		}
		return v
	})
}

// count counts values, keeping few groups, so that some are pushed out.
func count(values []value, limit, names int, whole ...string) Census {
	counters := map[string]*Counter{}
	for _, v := range values {
		c, ok := counters[v.resource]
		if !ok {
			c = NewCounter(config, v.resource, names)
			c.groups.limit = limit
			counters[v.resource] = c
		}
		c.Add([]byte(v.name), v.mark)
		if v.stray {
			c.Stray([]byte(v.name))
		}
	}
	var tallies []Tally
	for _, c := range counters {
		tallies = append(tallies, c.Tally())
	}
	return Of(config, whole, tallies...)
}

// However values are split, in whatever order the parts are counted and added up, the sum is the same.
func TestMergeIsAssociativeAndCommutative(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(anyValue(), 0, 80).Draw(t, "values")
		limit, names := rapid.IntRange(1, 12).Draw(t, "limit"), rapid.IntRange(AllNames, 5).Draw(t, "names")
		want, err := merge(limit, names, []Census{count(values, limit, names)})
		require.NoError(t, err)

		shuffled := rapid.Permutation(values).Draw(t, "shuffled")
		var parts []Census
		for len(shuffled) > 0 {
			n := rapid.IntRange(1, len(shuffled)).Draw(t, "part")
			parts = append(parts, count(shuffled[:n], limit, names))
			shuffled = shuffled[n:]
		}
		for len(parts) > 1 {
			i := rapid.IntRange(0, len(parts)-2).Draw(t, "at")
			sum, err := merge(limit, names, []Census{parts[i+1], parts[i]})
			require.NoError(t, err)
			parts = slices.Replace(parts, i, i+2, sum)
		}
		if len(values) > 0 {
			assert.Equal(t, want, parts[0])
			assert.Equal(t, want, count(values, limit, names), "and is what one counter counts")
		}
	})
}

// Nothing is lost or counted twice, and no names are kept but those of stragglers.
func TestEveryValueIsInOneGroup(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(anyValue(), 0, 80).Draw(t, "values")
		limit := rapid.IntRange(1, 12).Draw(t, "limit")
		var objects int64
		for _, tally := range count(values, limit, 2).Tallies {
			var sum int64
			for _, g := range tally.Groups {
				sum += g.Objects
				assert.LessOrEqual(t, len(g.Names), 2)
				assert.True(t, slices.IsSorted(g.Names))
				assert.Equal(t, g.State == Current, len(g.Names) == 0)
			}
			assert.Equal(t, tally.Objects, sum)
			assert.LessOrEqual(t, len(tally.Groups), limit+2*len(states()))
			objects += sum
		}
		assert.EqualValues(t, len(values), objects)
	})
}

// What is said is never more than what was counted shows.
func TestTheVerdictKeepsItsRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(anyValue(), 0, 40).Draw(t, "values")
		limit := rapid.IntRange(1, 12).Draw(t, "limit")
		whole := rapid.SliceOfN(rapid.SampledFrom([]string{"secrets", "configmaps", "*.apps", "*.", "*.*", "pods"}), 0, 4).Draw(t, "whole")
		c := count(values, limit, 2, whole...)
		v := Judge(c, config, nil)

		current := int64(0)
		for _, value := range values {
			if state, _ := expect(config, value.resource).judge(value.mark); state == Current {
				current++
			}
		}
		off := int64(0)
		for _, f := range v.Findings {
			off += f.Objects
		}
		assert.Equal(t, current, v.Current)
		assert.EqualValues(t, len(values), v.Current+off)
		assert.Equal(t, off > 0, v.Outcome == Found)
		if v.Outcome == Clean {
			assert.Empty(t, v.NotWhole)
			assert.NotEmpty(t, whole)
		}
		for _, k := range v.Unused {
			assert.Empty(t, v.UnusedUnknown)
			assert.False(t, config.Writes(k))
			assert.False(t, slices.ContainsFunc(values, func(v value) bool {
				return k.Is(encconfig.Key{Provider: v.mark.Provider, Name: v.mark.Key})
			}), "an unused key is named by no value")
			for _, pattern := range config.Patterns() {
				assert.True(t, encconfig.Rule{Resources: whole}.Covers(pattern))
			}
		}
		assert.NotContains(t, v.Sentence, "\n")
		assert.NotContains(t, v.Sentence, "KEY")
	})
}

// A share is all only of all, nothing only of nothing, and never more than it is.
func TestShareKeepsItsRule(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.Int64Range(1, 1<<62).Draw(t, "all")
		n := rapid.Int64Range(0, all).Draw(t, "n")
		share := Share(n, all)
		assert.Equal(t, n == all, share == "100%")
		assert.Equal(t, n == 0, share == "0%")
		if n > 0 && !strings.HasPrefix(share, "<") {
			var percent float64
			_, err := fmt.Sscanf(share, "%f%%", &percent)
			require.NoError(t, err)
			assert.LessOrEqual(t, percent, 100*float64(n)/float64(all)+1e-9)
		}
	})
}
