// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

func TestNext_whileANodeIsLeftOut(t *testing.T) {
	t.Parallel()
	done := plan.Progress{Settled: true, Migrated: true}
	for _, tc := range []struct {
		name     string
		observed plan.Observed
		goal     plan.Goal
		// with and without the node that is left out.
		left, all string
	}{
		{
			"one instance is left => the key becomes a read key first",
			plan.Observed{Nodes: nodes("", "gcm1 identity")},
			plan.Goal{Target: key("gcm2")},
			"push add-read-key a to a aesgcm/1 aesgcm/2 identity", "push add-write-key a to a aesgcm/2 aesgcm/1 identity",
		},
		{
			"all that are left have proven the key => promotion",
			plan.Observed{Nodes: nodes("", "gcm1 gcm2 identity", "gcm1 gcm2 identity")},
			plan.Goal{Target: key("gcm2")},
			"push promote a to a,b aesgcm/2 aesgcm/1 identity", "push promote a to a,b aesgcm/2 aesgcm/1 identity",
		},
		{
			"a key that nothing is known to need => stays",
			plan.Observed{Nodes: nodes("", "gcm3 gcm2 gcm1", "gcm3 gcm2 gcm1"), Progress: done, Counted: &plan.Counted{}, Unneeded: []encconfig.Key{key("gcm1")}},
			plan.Goal{Target: key("gcm3"), Keep: 2},
			"close", "push remove a to a,b aesgcm/3 aesgcm/2",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for leftOut, want := range map[bool]string{true: tc.left, false: tc.all} {
				o := tc.observed
				o.LeftOut = leftOut
				step, err := plan.Next(o, tc.goal)
				require.NoError(t, err)
				assert.Equal(t, want, summary(step), "left out: %t", leftOut)
			}
		})
	}
}

func TestNext_refusesWhileANodeIsLeftOut(t *testing.T) {
	t.Parallel()
	for name, g := range map[string]plan.Goal{
		"to take a key back": {Target: key("gcm2"), Abort: true},
		"to remove flags":    {Target: key("identity"), Flags: plan.RemoveFlags},
		"to prune by name":   {Target: key("gcm1"), Drop: []encconfig.Key{key("gcm2")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := plan.Next(plan.Observed{Nodes: nodes("gcm1", "gcm1 gcm2 identity"), LeftOut: true}, g)
			require.ErrorIs(t, err, plan.ErrRefused)
			assert.ErrorContains(t, err, "a node is left out")
		})
	}
}

// A node that was left out comes back with the file that the others had, and writes with any key of it: so all of them
// stay, whatever the record says that nothing needs.
func TestNext_noKeyLeavesWhileANodeIsLeftOut(t *testing.T) {
	t.Parallel()
	all := []string{"gcm1", "gcm2", "gcm3", "box4", "identity"}
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.Permutation(all).Filter(func(words []string) bool { return words[0] != "identity" }).Draw(t, "keys")
		size := rapid.IntRange(1, 3).Draw(t, "nodes")
		var files []string
		for range size {
			files = append(files, strings.Join(words, " "))
		}
		o := plan.Observed{Nodes: nodes("", files...), LeftOut: true}
		for _, word := range rapid.SliceOfDistinct(rapid.SampledFrom(all[:4]), rapid.ID).Draw(t, "unneeded") {
			o.Unneeded = append(o.Unneeded, key(word))
		}
		g := plan.Goal{Target: key("gcm9"), Keep: rapid.IntRange(2, 6).Draw(t, "keep")}
		steps, err := plan.Preview(o, g)
		require.NoError(t, err)
		for _, step := range steps {
			if step.Kind != plan.Push {
				continue
			}
			for _, word := range words {
				assert.GreaterOrEqual(t, step.Result.Rules[0].Index(key(word)), 0, "%s is there after %s", word, summary(step))
			}
		}
		assert.Equal(t, plan.Done, steps[len(steps)-1].Kind)
	})
}
