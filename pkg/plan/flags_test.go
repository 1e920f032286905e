// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

// set gives nodes flags, in their order; "edited" is one on which a guard is at work.
func set(list []plan.Node, flags ...string) []plan.Node {
	for i, f := range flags {
		list[i].Flags = map[string]plan.Flags{"set": plan.FlagsSet, "unset": plan.FlagsUnset, "without reload": plan.FlagsWithoutReload}[f]
		list[i].Edited = f == "edited" // to FlagsSet
	}
	return list
}

// bare are nodes without files and flags.
func bare(names ...string) []plan.Node {
	var list []plan.Node
	for _, name := range names {
		list = append(list, plan.Node{Name: name, Missing: true, Flags: plan.FlagsUnset, Problem: "it is not there"})
	}
	return list
}

// words are the steps as one line each.
func words(steps []plan.Step) []string {
	var list []string
	for _, s := range steps {
		line := summary(s)
		if s.Kind == plan.EditManifest || s.Kind == plan.AwaitEdit {
			line += " " + strings.Join(s.Targets, ",")
		}
		if s.Flags == plan.FlagsUnset && s.Kind != plan.Push {
			line += " off"
		}
		list = append(list, line)
	}
	return list
}

func TestPreviewOfWhatTurnsEncryptionOnAndOff(t *testing.T) {
	t.Parallel()
	on := plan.Goal{Target: key("gcm1"), Resources: []string{"secrets"}, Flags: plan.SetFlags, Keep: 8}
	off := plan.Goal{Target: key("identity"), Resources: []string{"secrets"}}
	out := plan.Goal{Target: key("identity"), Resources: []string{"secrets"}, Flags: plan.RemoveFlags}
	rest := []string{"await", "settle", "migrate", "verify", "close", "done"}
	tests := map[string]struct {
		seen plan.Observed
		goal plan.Goal
		want []string
	}{
		"plaintext on two nodes": {
			plan.Observed{Nodes: bare("a", "b"), KubeadmStale: true},
			on,
			append([]string{
				"push add-read-key a to a,b identity aesgcm/1", "edit-manifest a", "await-edit a", "await", "edit-manifest b", "await-edit b", "await", "kubeadm-config",
				"push promote a to a,b aesgcm/1 identity",
			}, rest...),
		},
		"the first file is on one of two nodes": {
			plan.Observed{Nodes: append(set(nodes("", "identity gcm1"), "unset"), bare("b")...)},
			on,
			append([]string{
				"push keep a to b identity aesgcm/1", "edit-manifest a", "await-edit a", "await", "edit-manifest b", "await-edit b", "await", "push promote a to a,b aesgcm/1 identity",
			}, rest...),
		},
		"a guard of an earlier run is at work": {
			plan.Observed{Nodes: set(nodes("", "identity gcm1", "identity gcm1"), "set", "edited")},
			on,
			append([]string{"await-edit b", "await", "push promote a to a,b aesgcm/1 identity"}, rest...),
		},
		"a flag without reload": {
			plan.Observed{Nodes: set(nodes("", "gcm1 identity", "gcm1 identity"), "set", "without reload"), Progress: plan.Progress{Settled: true, Migrated: true}},
			on,
			[]string{"edit-manifest b", "await-edit b", "await", "verify", "close", "done"},
		},
		"a node that joined without flags and without a file": {
			plan.Observed{Nodes: append(nodes("", "gcm1 identity"), bare("b")...), Progress: plan.Progress{Settled: true, Migrated: true}},
			on,
			[]string{"push keep a to b aesgcm/1 identity", "edit-manifest b", "await-edit b", "await", "settle", "migrate", "verify", "close", "done"},
		},
		"a node that joined with a file that nobody reads": {
			plan.Observed{Nodes: set(nodes("", "gcm1 identity", "gcm9 identity"), "set", "unset"), Progress: plan.Progress{Settled: true, Migrated: true}},
			on,
			[]string{"push keep a to b aesgcm/1 identity", "edit-manifest b", "await-edit b", "await", "settle", "migrate", "verify", "close", "done"},
		},
		"a node that lost its flags, where plaintext can't be read": {
			plan.Observed{Nodes: set(nodes("", "gcm1", "gcm1"), "set", "unset"), Progress: plan.Progress{Settled: true, Migrated: true}},
			on,
			[]string{
				"push add-read-key a to a,b aesgcm/1 identity", "await", "edit-manifest b", "await-edit b", "await", "settle", "migrate", "verify", "close", "done",
			},
		},
		"every node has lost its flags, and what is stored is encrypted": {
			plan.Observed{Nodes: set(nodes("", "gcm1 identity", "gcm1 identity"), "unset", "unset"), Progress: plan.Progress{Settled: true, Migrated: true}},
			on,
			append([]string{
				"push promote a to a,b identity aesgcm/1", "edit-manifest a", "await-edit a", "await", "edit-manifest b", "await-edit b", "await",
				"push promote a to a,b aesgcm/1 identity",
			}, rest...),
		},
		"the same, where plaintext can't be read": {
			plan.Observed{Nodes: set(nodes("", "gcm1"), "unset")},
			on,
			append([]string{
				"push add-read-key a to a aesgcm/1 identity", "push promote a to a identity aesgcm/1", "edit-manifest a", "await-edit a", "await",
				"push promote a to a aesgcm/1 identity",
			}, rest...),
		},
		"everything is so already": {
			plan.Observed{Nodes: nodes("", "gcm1 identity"), Progress: plan.Progress{Settled: true, Migrated: true, Closed: true}}, on, []string{"done"},
		},
		"off, where plaintext can be read": {
			plan.Observed{Nodes: nodes("", "gcm1 identity", "gcm1 identity")}, off, append([]string{"push promote a to a,b identity aesgcm/1"}, rest...),
		},
		"off, where plaintext can't be read": {
			plan.Observed{Nodes: nodes("", "gcm1 gcm2")},
			off,
			append([]string{"push add-read-key a to a aesgcm/1 aesgcm/2 identity", "await", "push promote a to a identity aesgcm/1 aesgcm/2"}, rest...),
		},
		"off to the end": {
			plan.Observed{Nodes: nodes("", "identity gcm1", "identity gcm1"), KubeadmStale: true},
			out,
			[]string{"settle", "migrate", "age", "verify", "kubeadm-config off", "edit-manifest a off", "await-edit a", "edit-manifest b off", "await-edit b", "close", "done"},
		},
		"off to the end, of which one node is left": {
			plan.Observed{
				Nodes: set(nodes("", "identity gcm1", "identity gcm1"), "unset", "set"), Aged: true, Progress: plan.Progress{Settled: true, Migrated: true},
			}, out, []string{"verify", "edit-manifest b off", "await-edit b", "close", "done"},
		},
		"off to the end, where etcd holds an encrypted value": {
			plan.Observed{
				Nodes: nodes("", "identity gcm1", "identity gcm1"), KubeadmStale: true, Aged: true, Progress: plan.Progress{Settled: true, Migrated: true},
				Counted: &plan.Counted{Encrypted: true},
			}, out, []string{"close", "done"},
		},
		"off already": {plan.Observed{Nodes: bare("a")}, out, []string{"close", "done"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			steps, err := plan.Preview(tc.seen, tc.goal)
			require.NoError(t, err)
			assert.Equal(t, tc.want, words(steps))
		})
	}
}

func TestNextRefusesToTouchWhatItCannotAnswerFor(t *testing.T) {
	t.Parallel()
	on := plan.Goal{Target: key("gcm1"), Resources: []string{"secrets"}, Flags: plan.SetFlags}
	off := plan.Goal{Target: key("identity"), Resources: []string{"secrets"}}
	behind := set(nodes("", "gcm1 identity", "gcm1 identity"), "without reload")
	behind[0].Loaded = ""
	tests := map[string]struct {
		nodes []plan.Node
		goal  plan.Goal
		says  string
	}{
		"no file where the flag is set":              {[]plan.Node{{Name: "a", Missing: true, Problem: "it is not there"}}, on, "the encryption configuration of node a is not usable"},
		"another file than the one that is loaded":   {behind, on, "is not proven to run the configuration that is in its file"},
		"a rotation where one node has no flags":     {set(nodes("", "gcm1", "gcm1"), "set", "unset"), plan.Goal{Target: key("gcm2")}, "node b runs without --encryption-provider-config"},
		"off where a kube-apiserver does not reload": {set(nodes("", "gcm1 identity"), "without reload"), off, "does not reload its configuration by itself"},
		"a KMS": {nodes("", "kms1 identity"), on, "uses a KMS provider"},
		"files that differ for a reason nobody knows": {nodes("", "gcm1 identity", "gcm7 identity"), on, "differ"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := plan.Next(plan.Observed{Nodes: tc.nodes}, tc.goal)
			require.ErrorIs(t, err, plan.ErrRefused)
			assert.ErrorContains(t, err, tc.says)
		})
	}
}
