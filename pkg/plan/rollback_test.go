// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

// made gives every key of some nodes the fingerprint that made has as well.
func made(list []plan.Node) []plan.Node {
	for _, n := range list {
		for _, d := range append([]encconfig.Description{*n.Config}, n.History...) {
			for _, r := range d.Rules {
				for i, k := range r.Keys {
					if k.Provider.Local() {
						r.Keys[i].Fingerprint = "f" + k.Name
					}
				}
			}
		}
	}
	return list
}

// former is a key that exists.
func former(word string) encconfig.Key {
	k := key(word)
	k.Fingerprint = "f" + k.Name
	return k
}

// marked are nodes that say up to which number keys have written.
func marked(written uint64, list []plan.Node) []plan.Node {
	for i := range list {
		list[i].HighestWritten = written
	}
	return list
}

func TestNext_rollsBack(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		nodes []plan.Node
		back  string
		want  []string
	}{
		"to a read key: promoted at once": {
			nodes("", "gcm3 gcm2 gcm1 identity", "gcm3 gcm2 gcm1 identity"), "gcm1",
			[]string{"push promote a to a,b aesgcm/1 aesgcm/3 aesgcm/2 identity", "await", "settle", "migrate", "verify", "close", "done"},
		},
		"to a key of a history alone: that node makes the file": {
			[]plan.Node{nodes("", "gcm3 identity")[0], nodes("gcm1 identity", "", "gcm3 identity")[1]},
			"gcm1",
			[]string{
				"push add-read-key b to a,b aesgcm/3 aesgcm/1 identity", "await",
				"push promote a to a,b aesgcm/1 aesgcm/3 identity", "await", "settle", "migrate", "verify", "close", "done",
			},
		},
		"to a key of a history on the only node: read key first, as on many": {
			nodes("gcm1 identity; gcm3 gcm1 identity; gcm3 identity", "gcm3 identity"), "gcm1",
			[]string{
				"push add-read-key a to a aesgcm/3 aesgcm/1 identity", "await",
				"push promote a to a aesgcm/1 aesgcm/3 identity", "await", "settle", "migrate", "verify", "close", "done",
			},
		},
		"promoted on one of two nodes: the other follows": {
			nodes("gcm3 gcm1; gcm1 gcm3", "gcm1 gcm3", "gcm3 gcm1"), "gcm1",
			[]string{"push keep a to b aesgcm/1 aesgcm/3", "await", "settle", "migrate", "verify", "close", "done"},
		},
		"to the write key: what is stored follows": {
			nodes("", "gcm3 gcm1"), "gcm3", []string{"settle", "migrate", "verify", "close", "done"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := plan.Goal{Target: former(tt.back), Resources: []string{"secrets"}, Keep: plan.MinKeep}
			// Nothing needs any key: a rollback drops none all the same.
			o := plan.Observed{Nodes: made(tt.nodes), Unneeded: []encconfig.Key{key("gcm1"), key("gcm2"), key("gcm3")}}
			steps, err := plan.Preview(o, g)
			require.NoError(t, err)
			assert.Equal(t, tt.want, words(steps))
		})
	}
}

func TestNext_refusesToRollBack(t *testing.T) {
	t.Parallel()
	twice := made(nodes("gcm1; gcm3 gcm1; gcm3", "gcm3"))
	twice[0].History[0].Rules[0].Keys[0].Fingerprint = "another"
	tests := map[string]struct {
		nodes []plan.Node
		back  string
		want  string
	}{
		"to a key that is nowhere":               {made(nodes("gcm2; gcm3 gcm2", "gcm3 gcm2")), "gcm1", "no node has key aesgcm/1 any more"},
		"where the name stands for two keys":     {twice, "gcm1", "the name aesgcm/1 stands for two different keys on node a"},
		"where the file has another of the name": {made(nodes("", "gcm3 gcm1")), "gcm1", "stands for two different keys"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := former(tt.back)
			if name == "where the file has another of the name" {
				target.Fingerprint = "another"
			}
			_, err := plan.Preview(plan.Observed{Nodes: tt.nodes}, plan.Goal{Target: target, Resources: []string{"secrets"}})
			require.ErrorIs(t, err, plan.ErrRefused)
			assert.ErrorContains(t, err, tt.want)
		})
	}
}

// After a rollback the newer key is a read key that is newer than the write key, as it is before a promotion. What has written
// tells the two apart, also where no history does any more.
func TestPending_afterARollback(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		nodes []plan.Node
		want  string
	}{
		"rolled back, as the mark tells":             {marked(3, nodes("", "gcm2 gcm3")), ""},
		"rolled back, as the history tells":          {nodes("gcm3 gcm2; gcm2 gcm3", "gcm2 gcm3"), ""},
		"a new key behind both":                      {marked(3, nodes("gcm2 gcm3; gcm2 gcm4 gcm3", "gcm2 gcm4 gcm3")), "gcm4"},
		"promoted on one node, not yet on the other": {[]plan.Node{marked(3, nodes("", "gcm3 gcm2"))[0], marked(2, nodes("gcm2; gcm2 gcm3", "gcm2 gcm3"))[0]}, "gcm3"},
		"rolled back, and a node has joined since, which knows of nothing": {
			[]plan.Node{marked(3, nodes("gcm3 gcm2; gcm2 gcm3", "gcm2 gcm3"))[0], marked(2, nodes("gcm2 gcm3", "gcm2 gcm3"))[0]}, "",
		},
		"rolled back, and one node's history is lost": {
			[]plan.Node{marked(3, nodes("gcm3 gcm2; gcm2 gcm3", "gcm2 gcm3"))[0], nodes("", "gcm2 gcm3")[0]}, "",
		},
		"rolled back, and one node's history begins with an older file": {
			[]plan.Node{marked(3, nodes("gcm3 gcm2; gcm2 gcm3", "gcm2 gcm3"))[0], marked(2, nodes("gcm2; gcm2 gcm3", "gcm2 gcm3"))[0]}, "",
		},
		"a read key of before us, whose name has a higher number": {nodes("gcm2 gcm7", "gcm2 gcm7"), ""},
		"a promotion that never came into place":                  {marked(3, nodes("gcm2; gcm2 gcm3; gcm3 gcm2", "gcm2 gcm3")), "gcm3"},
		"a rollback that never came into place":                   {marked(3, nodes("gcm3 gcm2; gcm2 gcm3", "gcm3 gcm2")), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pending, underway := plan.Pending(tt.nodes)
			assert.Equal(t, tt.want != "", underway)
			if tt.want != "" {
				assert.Equal(t, key(tt.want), pending)
			}
		})
	}
}

func TestOvertaken(t *testing.T) {
	t.Parallel()
	assert.True(t, plan.Overtaken(marked(5, nodes("", "gcm5 gcm4 gcm2")), key("gcm2")), "others have written since")
	assert.True(t, plan.Overtaken(nodes("gcm3 gcm2; gcm1 gcm3", "gcm1 gcm3"), key("gcm2")), "as the history tells")
	assert.False(t, plan.Overtaken(marked(1, nodes("", "gcm1 gcm2")), key("gcm2")), "it waits")
	assert.False(t, plan.Overtaken(marked(2, nodes("", "gcm2 gcm1")), key("gcm2")), "it writes")
	assert.False(t, plan.Overtaken(marked(2, nodes("", "gcm1")), key("gcm2")), "it has written, and is gone")
	assert.False(t, plan.Overtaken(append(marked(5, nodes("", "gcm2 gcm5")), nodes("", "gcm1")...), key("gcm2")), "a node writes with it")
}

func TestNext_takesNoKeyBackThatHasWritten(t *testing.T) {
	t.Parallel()
	history := "gcm2; gcm2 gcm3" // it begins when the key had written already
	_, err := plan.Next(plan.Observed{Nodes: marked(3, nodes(history, "gcm2 gcm3"))}, plan.Goal{Target: key("gcm3"), Abort: true})
	require.ErrorIs(t, err, plan.ErrRefused)
	step, err := plan.Next(plan.Observed{Nodes: marked(2, nodes(history, "gcm2 gcm3"))}, plan.Goal{Target: key("gcm3"), Abort: true})
	require.NoError(t, err)
	assert.Equal(t, "push remove a to a aesgcm/2", summary(step))
}

func TestNext_drops(t *testing.T) {
	t.Parallel()
	off := encconfig.Description{Digest: "off", Rules: []encconfig.Rule{
		{Resources: []string{"secrets"}, Keys: []encconfig.Key{key("gcm2"), key("gcm1"), key("identity")}},
		{Resources: []string{"configmaps"}, Keys: []encconfig.Key{key("identity"), key("gcm1")}},
	}}
	tests := map[string]struct {
		nodes []plan.Node
		want  []string
	}{
		"keys on every node": {
			nodes("", "gcm3 gcm2 gcm1", "gcm3 gcm2 gcm1"), []string{"push remove a to a,b aesgcm/3 aesgcm/2", "await", "close", "done"},
		},
		"on one of two nodes already: the other follows": {
			nodes("gcm3 gcm2 gcm1; gcm3 gcm2", "gcm3 gcm2", "gcm3 gcm2 gcm1"), []string{"push keep a to b aesgcm/3 aesgcm/2", "await", "close", "done"},
		},
		"nowhere any more": {nodes("", "gcm3 gcm2"), []string{"close", "done"}},
		"what a rule that encrypts nothing reads, too": {
			[]plan.Node{{Name: "a", Config: &off, Loaded: "off"}}, []string{"push remove a to a aesgcm/2 identity", "await", "close", "done"},
		},
		"where nothing is encrypted any more": {nodes("", "identity gcm1"), []string{"push remove a to a identity", "await", "close", "done"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			steps, err := plan.Preview(plan.Observed{Nodes: tt.nodes}, plan.Goal{Drop: []encconfig.Key{key("gcm1")}})
			require.NoError(t, err)
			assert.Equal(t, tt.want, words(steps))
			for _, s := range steps {
				assert.False(t, s.Kind == plan.Push && s.Result.Has(key("gcm1")))
			}
		})
	}
}

func TestNext_refusesToDrop(t *testing.T) {
	t.Parallel()
	for name, list := range map[string][]plan.Node{
		"a write key":                      nodes("", "gcm1 gcm2"),
		"where another key is missing too": nodes("gcm3 gcm2 gcm1; gcm3", "gcm3", "gcm3 gcm2 gcm1"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := plan.Preview(plan.Observed{Nodes: list}, plan.Goal{Drop: []encconfig.Key{key("gcm1")}})
			assert.ErrorIs(t, err, plan.ErrRefused)
		})
	}
}

func TestCandidates(t *testing.T) {
	t.Parallel()
	assert.Empty(t, plan.Candidates(*config("gcm3 gcm2 identity"), 0), "the write key and the one before it stay")
	assert.Equal(t, []encconfig.Key{key("gcm1")}, plan.Candidates(*config("gcm3 gcm2 gcm1 identity"), 2))
	assert.Equal(t, []encconfig.Key{key("gcm1")}, plan.Candidates(*config("identity gcm3 gcm2 gcm1"), 2), "also of what is decrypted")
	assert.Empty(t, plan.Candidates(*config("gcm3 gcm2 kms1"), 2), "what a KMS holds is not ours")
}
