// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

// config makes a description of one rule from words such as "gcm2 gcm1 identity".
func config(words string) *encconfig.Description {
	r := encconfig.Rule{Resources: []string{"secrets"}}
	for w := range strings.FieldsSeq(words) {
		r.Keys = append(r.Keys, key(w))
	}
	return &encconfig.Description{Digest: words, Rules: []encconfig.Rule{r}}
}

func key(word string) encconfig.Key {
	for prefix, p := range map[string]encconfig.Provider{"gcm": encconfig.AESGCM, "box": encconfig.Secretbox, "kms": encconfig.KMS} {
		if name, ok := strings.CutPrefix(word, prefix); ok {
			return encconfig.Key{Provider: p, Name: name}
		}
	}
	return encconfig.Key{Provider: encconfig.Identity}
}

// nodes makes one node per configuration, each loaded, with the given history.
func nodes(history string, configs ...string) []plan.Node {
	var list []plan.Node
	for i, c := range configs {
		n := plan.Node{Name: string(rune('a' + i)), Config: config(c), Loaded: c}
		if history != "" {
			for h := range strings.SplitSeq(history, "; ") {
				n.History = append(n.History, *config(h))
			}
		}
		list = append(list, n)
	}
	return list
}

func lagging(list []plan.Node) []plan.Node {
	list[0].Loaded = ""
	return list
}

func summary(s plan.Step) string {
	parts := []string{string(s.Kind)}
	if s.Kind == plan.Push {
		parts = append(parts, string(s.Change.Kind), s.Source, "to", strings.Join(s.Targets, ","))
		for _, k := range s.Result.Rules[0].Keys {
			parts = append(parts, k.String())
		}
	}
	return strings.Join(parts, " ")
}

func TestNext(t *testing.T) {
	t.Parallel()
	all := plan.Progress{Settled: true, Migrated: true, Closed: true}
	for _, tc := range []struct {
		name     string
		observed plan.Observed
		goal     plan.Goal
		want     string
	}{
		{
			"an instance that lags behind its file => everything waits for it",
			plan.Observed{Nodes: lagging(nodes("", "gcm1 identity", "gcm1 identity"))},
			plan.Goal{Target: key("gcm2")},
			"await",
		},
		{
			"two nodes, new key => read key first",
			plan.Observed{Nodes: nodes("", "gcm1 identity", "gcm1 identity")},
			plan.Goal{Target: key("gcm2")},
			"push add-read-key a to a,b aesgcm/1 aesgcm/2 identity",
		},
		{
			"one node, new key => write key at once",
			plan.Observed{Nodes: nodes("", "gcm1 identity")},
			plan.Goal{Target: key("box2")},
			"push add-write-key a to a secretbox/2 aesgcm/1 identity",
		},
		{
			"read key on one of two nodes => the other gets the same file",
			plan.Observed{Nodes: nodes("gcm1 identity; gcm1 gcm2 identity", "gcm1 identity", "gcm1 gcm2 identity")},
			plan.Goal{Target: key("gcm2")},
			"push keep b to a aesgcm/1 aesgcm/2 identity",
		},
		{
			"read key proven everywhere => promotion",
			plan.Observed{Nodes: nodes("", "gcm1 gcm2 identity", "gcm1 gcm2 identity")},
			plan.Goal{Target: key("gcm2")},
			"push promote a to a,b aesgcm/2 aesgcm/1 identity",
		},
		{
			"promoted on one of two nodes => the other follows, not the other way round",
			plan.Observed{Nodes: nodes("gcm1 gcm2 identity; gcm2 gcm1 identity", "gcm2 gcm1 identity", "gcm1 gcm2 identity")},
			plan.Goal{Target: key("gcm2")},
			"push keep a to b aesgcm/2 aesgcm/1 identity",
		},
		{
			"promoted and proven => baselines",
			plan.Observed{Nodes: nodes("", "gcm2 gcm1", "gcm2 gcm1")},
			plan.Goal{Target: key("gcm2")},
			"settle",
		},
		{
			"baselines recorded => migration",
			plan.Observed{Nodes: nodes("", "gcm2 gcm1"), Progress: plan.Progress{Settled: true}},
			plan.Goal{Target: key("gcm2")},
			"migrate",
		},
		{
			"migrated and not counted => count, before anything leaves",
			plan.Observed{
				Nodes: nodes("", "gcm4 gcm3 gcm2 gcm1"), Progress: plan.Progress{Settled: true, Migrated: true},
				Unneeded: []encconfig.Key{key("gcm2"), key("gcm1")},
			},
			plan.Goal{Target: key("gcm4"), Keep: 2},
			"verify",
		},
		{
			"migrated, and a value was seen under an old key that the record calls unneeded => it stays",
			plan.Observed{
				Nodes: nodes("", "gcm4 gcm3 gcm2 gcm1"), Progress: plan.Progress{Settled: true, Migrated: true},
				Unneeded: []encconfig.Key{key("gcm2"), key("gcm1")}, Counted: &plan.Counted{Stored: []encconfig.Key{key("gcm4"), key("gcm2")}},
			},
			plan.Goal{Target: key("gcm4"), Keep: 2},
			"push remove a to a aesgcm/4 aesgcm/3 aesgcm/2",
		},
		{
			"migrated, and a value was seen under every old key => close",
			plan.Observed{
				Nodes: nodes("", "gcm3 gcm2 gcm1"), Progress: plan.Progress{Settled: true, Migrated: true},
				Unneeded: []encconfig.Key{key("gcm2"), key("gcm1")}, Counted: &plan.Counted{Stored: []encconfig.Key{key("gcm1")}},
			},
			plan.Goal{Target: key("gcm3"), Keep: 2},
			"close",
		},
		{
			"settled anew after a count that contradicted the migration => migrate",
			plan.Observed{
				Nodes: nodes("", "gcm2 gcm1"), Progress: plan.Progress{Settled: true}, Counted: &plan.Counted{Stored: []encconfig.Key{key("gcm1")}},
			},
			plan.Goal{Target: key("gcm2"), Keep: 2},
			"migrate",
		},
		{
			"migrated, an old key beyond retention and proven unneeded => it leaves",
			plan.Observed{
				Nodes: nodes("", "gcm4 gcm3 gcm2 gcm1 identity"), Progress: plan.Progress{Settled: true, Migrated: true}, Counted: &plan.Counted{},
				Unneeded: []encconfig.Key{key("gcm3"), key("gcm2"), key("gcm1")},
			},
			plan.Goal{Target: key("gcm4"), Keep: 3},
			"push remove a to a aesgcm/4 aesgcm/3 aesgcm/2 identity",
		},
		{
			"retention of one key asked for => the one before the write key stays all the same",
			plan.Observed{
				Nodes: nodes("", "gcm3 gcm2 gcm1"), Progress: plan.Progress{Settled: true, Migrated: true}, Counted: &plan.Counted{},
				Unneeded: []encconfig.Key{key("gcm2"), key("gcm1")},
			},
			plan.Goal{Target: key("gcm3"), Keep: 1},
			"push remove a to a aesgcm/3 aesgcm/2",
		},
		{
			"migrated, old keys without proof => they stay",
			plan.Observed{Nodes: nodes("", "gcm4 gcm3 gcm2 gcm1"), Progress: plan.Progress{Settled: true, Migrated: true}, Counted: &plan.Counted{}},
			plan.Goal{Target: key("gcm4"), Keep: 2},
			"close",
		},
		{
			"removal on one of two nodes => the other follows",
			plan.Observed{Nodes: nodes("gcm3 gcm2 gcm1; gcm3 gcm2", "gcm3 gcm2", "gcm3 gcm2 gcm1"), Progress: all},
			plan.Goal{Target: key("gcm3"), Keep: 2},
			"push keep a to b aesgcm/3 aesgcm/2",
		},
		{
			"all is done => done",
			plan.Observed{Nodes: nodes("", "gcm2 gcm1", "gcm2 gcm1"), Progress: all},
			plan.Goal{Target: key("gcm2"), Keep: 8},
			"done",
		},
		{
			"abort with the key on all nodes => it is taken out without waiting for proofs",
			plan.Observed{Nodes: lagging(nodes("gcm1 identity", "gcm1 gcm2 identity", "gcm1 gcm2 identity"))},
			plan.Goal{Target: key("gcm2"), Abort: true},
			"push remove a to a,b aesgcm/1 identity",
		},
		{
			"abort with the key on one node => it gets the others' file",
			plan.Observed{Nodes: nodes("gcm1 identity; gcm1 gcm2 identity", "gcm1 gcm2 identity", "gcm1 identity")},
			plan.Goal{Target: key("gcm2"), Abort: true},
			"push keep b to a aesgcm/1 identity",
		},
		{
			"abort, the key is out, an instance still has it loaded => wait",
			plan.Observed{Nodes: lagging(nodes("gcm1 gcm2", "gcm1", "gcm1"))},
			plan.Goal{Target: key("gcm2"), Abort: true},
			"await",
		},
		{
			"abort, the key is out and the record open => close it",
			plan.Observed{Nodes: nodes("gcm1 gcm2", "gcm1", "gcm1")},
			plan.Goal{Target: key("gcm2"), Abort: true},
			"close",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			step, err := plan.Next(tc.observed, tc.goal)
			require.NoError(t, err)
			assert.Equal(t, tc.want, summary(step))
		})
	}
}

func TestNext_refuses(t *testing.T) {
	t.Parallel()
	broken := nodes("", "gcm1", "gcm1")
	broken[1].Config, broken[1].Problem = nil, "line 3: provider has an unknown field"
	for _, tc := range []struct {
		name     string
		observed plan.Observed
		goal     plan.Goal
		want     string
	}{
		{"no node", plan.Observed{}, plan.Goal{Target: key("gcm2")}, "no control-plane node"},
		{"a file that is not understood", plan.Observed{Nodes: broken}, plan.Goal{Target: key("gcm2")}, "node b is not usable: line 3"},
		{"KMS", plan.Observed{Nodes: nodes("", "kmsx gcm1")}, plan.Goal{Target: key("gcm2")}, "KMS"},
		{"nothing encrypted", plan.Observed{Nodes: nodes("", "identity gcm1")}, plan.Goal{Target: key("gcm2")}, "encrypts no resource"},
		{
			"two nodes with different keys",
			plan.Observed{Nodes: nodes("", "gcm1", "gcm7")},
			plan.Goal{Target: key("gcm8")},
			"differ (and no node's history",
		},
		{
			"two nodes that no single change separates, both by our hand",
			plan.Observed{Nodes: nodes("gcm1; gcm7", "gcm1", "gcm7")},
			plan.Goal{Target: key("gcm8")},
			"differ (no single step",
		},
		{
			"a read key that somebody added on one node",
			plan.Observed{Nodes: nodes("gcm0; gcm1", "gcm1", "gcm1 gcm2")},
			plan.Goal{Target: key("gcm2")},
			"differ (and no node's history",
		},
		{
			"read keys that somebody added on one node, as if a removal were half done",
			plan.Observed{Nodes: nodes("gcm0; gcm1", "gcm1", "gcm1 box8 gcm7")},
			plan.Goal{Target: key("gcm2")},
			"differ (and no node's history",
		},
		{
			"three nodes with three states",
			plan.Observed{Nodes: nodes("gcm1; gcm1 gcm2; gcm2 gcm1", "gcm1", "gcm1 gcm2", "gcm2 gcm1")},
			plan.Goal{Target: key("gcm2")},
			"more than two",
		},
		{
			"abort after the promotion reached one node",
			plan.Observed{Nodes: nodes("gcm1", "gcm2 gcm1", "gcm1 gcm2")},
			plan.Goal{Target: key("gcm2"), Abort: true},
			"has been the write key",
		},
		{
			"abort of a key that was once the write key and put back by hand",
			plan.Observed{Nodes: nodes("gcm1; gcm2 gcm1", "gcm1 gcm2", "gcm1 gcm2")},
			plan.Goal{Target: key("gcm2"), Abort: true},
			"has been the write key",
		},
		{
			"abort where the record says that the key was put in use, on a node that is gone",
			plan.Observed{Nodes: nodes("gcm1; gcm1 gcm2", "gcm1 gcm2", "gcm1 gcm2"), Progress: plan.Progress{Used: true}},
			plan.Goal{Target: key("gcm2"), Abort: true},
			"or may have been",
		},
		{
			"abort where a revision in a node's history is not understood",
			plan.Observed{Nodes: append(nodes("gcm1; gcm1 gcm2", "gcm1 gcm2"), plan.Node{
				Name: "b", Config: config("gcm1 gcm2"), Loaded: "gcm1 gcm2", History: []encconfig.Description{{Digest: "?"}},
			})},
			plan.Goal{Target: key("gcm2"), Abort: true},
			"or may have been",
		},
		{
			"abort of a key that has written, and that no file has any more",
			plan.Observed{Nodes: nodes("gcm1; gcm1 gcm2; gcm2 gcm1", "gcm1", "gcm1")},
			plan.Goal{Target: key("gcm2"), Abort: true},
			"is in no file any more: something may be stored with it",
		},
		{
			"abort of a key that has written by the record, and that no file has any more",
			plan.Observed{Nodes: nodes("", "gcm1", "gcm1"), Progress: plan.Progress{Used: true}},
			plan.Goal{Target: key("gcm2"), Abort: true},
			"is in no file any more: something may be stored with it",
		},
		{
			"abort of a key that somebody else added",
			plan.Observed{Nodes: nodes("", "gcm1 gcm2", "gcm1 gcm2")},
			plan.Goal{Target: key("gcm2"), Abort: true},
			"was not added by this tool",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := plan.Next(tc.observed, tc.goal)
			require.ErrorIs(t, err, plan.ErrRefused)
			assert.ErrorContains(t, err, tc.want)
		})
	}
}

func TestPreview_of_a_rotation_on_three_nodes(t *testing.T) {
	t.Parallel()
	steps, err := plan.Preview(plan.Observed{Nodes: nodes("", "gcm1", "gcm1", "gcm1")}, plan.Goal{Target: key("box2"), Keep: 8})
	require.NoError(t, err)
	var kinds []string
	for _, s := range steps {
		kinds = append(kinds, string(s.Kind))
	}
	assert.Equal(t, []string{"push", "await", "push", "await", "settle", "migrate", "verify", "close", "done"}, kinds)
}

func TestPending_and_NewKey(t *testing.T) {
	t.Parallel()
	_, underway := plan.Pending(nodes("", "gcm2 gcm1", "gcm2 gcm1"))
	assert.False(t, underway, "older read keys are no rotation")
	pending, underway := plan.Pending(nodes("gcm2 gcm1; gcm2 box3 gcm1", "gcm2 gcm1", "gcm2 box3 gcm1"))
	assert.True(t, underway)
	assert.Equal(t, key("box3"), pending)
	assert.Equal(t, "10", plan.NewKey(encconfig.AESGCM, nodes("gcm9", "gcm2 gcm1"), 4).Name, "a name in a history is not used again")
	assert.Equal(t, "12", plan.NewKey(encconfig.AESGCM, nodes("gcm9", "gcm2 gcm1"), 11).Name)
}
