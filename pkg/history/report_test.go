// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package history_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/history"
)

func key(name string) encconfig.Key {
	return encconfig.Key{Provider: encconfig.AESGCM, Name: name, Fingerprint: "f" + name}
}

// config has a digest that says which keys it has.
func config(names ...string) encconfig.Description {
	d := encconfig.Description{Rules: []encconfig.Rule{{Resources: []string{"secrets"}}}}
	digest := "sha256:"
	for _, n := range names {
		digest += n
		d.Rules[0].Keys = append(d.Rules[0].Keys, key(n))
	}
	d.Digest = digest
	return d
}

// told is what a node tells whose file is the last of its history.
func told(node string, configs ...encconfig.Description) history.Answer {
	s := &agentapi.State{ModTime: time.Unix(99, 0)}
	for i, c := range configs {
		s.History = append(s.History, agentapi.Revision{Number: i + 4, Time: time.Unix(int64(i), 0), Run: "run", Config: c})
		s.Config, s.Digest = &c, c.Digest
	}
	return history.Answer{Node: node, State: s}
}

func TestReport_ofNodesThatAgree(t *testing.T) {
	t.Parallel()
	h := history.Report([]history.Answer{
		told("n1", config("1"), config("2", "1"), config("1"), config("2", "1")), told("n2", config("1"), config("2", "1")),
	}, v1alpha1.Cluster{})
	assert.True(t, h.Complete)
	assert.Equal(t, "sha256:21", h.Digest)
	assert.Equal(t, "2 nodes have the configuration sha256:21.", h.Summary)
	require.Len(t, h.Nodes[0].Revisions, 4)
	newest := h.Nodes[0].Revisions[0]
	assert.Equal(t, 7, newest.Number, "the newest first")
	assert.Equal(t, []v1alpha1.KeyRef{{Provider: "aesgcm", Name: "2", Fingerprint: "f2"}}, newest.WriteKeys)
	assert.Equal(t, []v1alpha1.KeyRef{{Provider: "aesgcm", Name: "1", Fingerprint: "f1"}}, newest.ReadKeys)
	assert.Equal(t, []string{"secrets"}, newest.Resources)
	var current []int
	for _, r := range h.Nodes[0].Revisions {
		if r.Current {
			current = append(current, r.Number)
		}
		assert.Empty(t, r.LackingOn)
	}
	assert.Equal(t, []int{7}, current, "of two with the same bytes the newest is the one in use")
}

func TestReport_ofNodesThatDiffer(t *testing.T) {
	t.Parallel()
	edited := told("n2", config("1"))
	byHand := config("1", "9")
	edited.State.Config, edited.State.Digest = &byHand, byHand.Digest
	strange := told("n3", encconfig.Description{Digest: "sha256:x"}, config("1"))
	h := history.Report([]history.Answer{told("n1", config("1")), edited, strange}, v1alpha1.Cluster{})
	assert.True(t, h.Complete)
	assert.Empty(t, h.Digest)
	assert.Equal(t, "The files of the nodes differ: n1 sha256:1, n2 sha256:19, n3 sha256:1.", h.Summary)
	file := h.Nodes[1].Revisions[0]
	assert.Zero(t, file.Number, "a file that nobody of ours has put there")
	assert.True(t, file.Current)
	assert.Equal(t, []string{"n1", "n3"}, file.LackingOn)
	assert.False(t, h.Nodes[1].Revisions[1].Current)
	assert.False(t, h.Nodes[2].Revisions[1].Understood)
}

func TestReport_namesWhoDidNotTell(t *testing.T) {
	t.Parallel()
	damaged := told("n3", config("1"))
	damaged.State.HistoryDamaged, damaged.State.Problem = true, &agentapi.Error{Code: agentapi.Unreadable, Message: "the history can't be used"}
	answers := []history.Answer{told("n1", config("1")), {Node: "n2", Err: errors.New("it did\nnot start")}, damaged}
	h := history.Report(answers, v1alpha1.Cluster{})
	assert.False(t, h.Complete)
	assert.Empty(t, h.Digest, "of all nodes")
	assert.Equal(t, "2 nodes have the configuration sha256:1; not known of n2.", h.Summary)
	assert.Equal(t, "could not be asked: it did not start", h.Nodes[1].Message)
	assert.Empty(t, h.Nodes[1].Revisions)
	assert.Equal(t, "the history can't be used", h.Nodes[2].Message)
	assert.Empty(t, h.Nodes[0].Revisions[0].LackingOn, "who did not tell is not said to lack anything")

	_, err := history.Nodes(answers)
	require.ErrorContains(t, err, "node n2 could not be asked")
	_, err = history.Nodes(answers[2:])
	require.ErrorContains(t, err, "the history can't be used")
	nodes, err := history.Nodes(answers[:1])
	require.NoError(t, err)
	assert.Equal(t, "n1", nodes[0].Name)

	assert.Equal(t, "No node could be asked.", history.Report(answers[1:2], v1alpha1.Cluster{}).Summary)
}

func TestReport_ofNodesWithoutAConfiguration(t *testing.T) {
	t.Parallel()
	never := history.Answer{Node: "n1", State: &agentapi.State{Problem: &agentapi.Error{Code: agentapi.Missing, Message: "not there"}}}
	h := history.Report([]history.Answer{never}, v1alpha1.Cluster{})
	assert.True(t, h.Complete)
	assert.Equal(t, "No node has an encryption configuration, now or in its history.", h.Summary)
	assert.Equal(t, "has no encryption configuration", h.Nodes[0].Message)

	once := told("n1", config("1"))
	once.State.Digest, once.State.Config = "", nil
	h = history.Report([]history.Answer{once}, v1alpha1.Cluster{})
	assert.Equal(t, "No node has an encryption configuration now.", h.Summary)
	assert.False(t, h.Nodes[0].Revisions[0].Current)
}
