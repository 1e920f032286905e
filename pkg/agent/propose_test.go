// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/seal"
)

func TestPropose_sealsToEachRecipientAndTouchesNothing(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	other := newNode(t, exampleConfig("1"))
	other.Node = "n2"

	resp := n.propose(addKey("2"), n, other)

	require.Nil(t, resp.Error)
	desc := resp.Proposed.Config
	assert.True(t, desc.Writes(gcm("1")))
	assert.True(t, desc.Reads(gcm("2")))
	require.Len(t, resp.Proposed.Sealed, 2)
	for _, recipient := range []*node{n, other} {
		c := seal.Context{Run: "run-1", Recipient: recipient.Node, From: n.digest(), To: desc.Digest}
		opened, err := recipient.identity.Open(c, resp.Proposed.Sealed[recipient.Node])
		require.NoError(t, err)
		doc, err := encconfig.Parse(opened)
		require.NoError(t, err)
		assert.Equal(t, desc, doc.Describe())
	}
	assert.Equal(t, exampleConfig("1"), readFile(t, n.path()))
	assert.Empty(t, historyFiles(t, n))
	assert.Equal(t, []string{testConfigName}, fileNames(t, n.ConfigDir))
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

func TestPropose_refuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		change  encconfig.Change
		prepare func(t *testing.T, n *node)
		code    agentapi.Code
		message string
	}{
		{"a name that is in use", addKey("5"), nil, agentapi.BadRequest, "is there already"},
		{"a lower number than any in use", addKey("4"), nil, agentapi.BadRequest, "a number above 5"},
		{"the same number with another beginning", addKey("key5"), nil, agentapi.BadRequest, "a number above 5"},
		{"a name without a number", addKey("new"), nil, agentapi.BadRequest, "a number above 5"},
		{
			"a number that a key of the history had", addKey("8"),
			func(t *testing.T, n *node) {
				writeHistory(t, n, "000001-20261120T101112Z-run-1.yaml", string(exampleConfig("8")))
			},
			agentapi.BadRequest, "a number above 8",
		},
		{
			"a number that the history has forgotten", addKey("9"),
			func(t *testing.T, n *node) { writeHistory(t, n, markName, "9") },
			agentapi.BadRequest, "a number above 9",
		},
		{
			"any new key while the history can't be read", addKey("9"),
			func(t *testing.T, n *node) { writeHistory(t, n, markName, "x") },
			agentapi.Unreadable, "history of this node can't be used",
		},
		{
			"a new key without random bytes", addKey("6"),
			func(_ *testing.T, n *node) { n.Random = io.LimitReader(n.Random, 31) },
			agentapi.Unreadable, "no random bytes",
		},
		{"two new keys at once", encconfig.Change{Kind: encconfig.AddReadKey, Keys: []encconfig.Key{gcm("6"), gcm("7")}}, nil, agentapi.BadRequest, "needs one key"},
		{"a promotion of a key that is not there", promote("6"), nil, agentapi.BadRequest, "is not a read key"},
		{"removing the write key", encconfig.Change{Kind: encconfig.Remove, Keys: []encconfig.Key{gcm("5")}}, nil, agentapi.BadRequest, "is the write key"},
		{"an unknown change", encconfig.Change{Kind: "shuffle"}, nil, agentapi.BadRequest, "unknown change"},
		{
			"a file that is not understood", addKey("6"),
			func(_ *testing.T, n *node) { n.write([]byte("garbage")) },
			agentapi.Invalid, "not understood",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name+" => refused", func(t *testing.T) {
			t.Parallel()
			n := newNode(t, exampleConfig("5", "2"))
			if tt.prepare != nil {
				tt.prepare(t, n)
			}
			resp := n.propose(tt.change, n)
			require.NotNil(t, resp.Error)
			assert.Equal(t, tt.code, resp.Error.Code)
			assert.Contains(t, resp.Error.Message, tt.message)
			assert.Nil(t, resp.Proposed)
		})
	}
}

func TestPropose_refusesAFileThatIsNotTheExpectedOne(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	proposal := agentapi.Proposal{
		From: encconfig.Digest(exampleConfig("2")), Change: promote("1"),
		Recipients: map[string][]byte{"n1": n.identity.PublicKey()},
	}
	resp := n.ask(agentapi.Request{Op: agentapi.Propose, Propose: &proposal})
	require.NotNil(t, resp.Error)
	assert.Equal(t, agentapi.Changed, resp.Error.Code)

	require.NoError(t, os.Remove(n.path()))
	resp = n.ask(agentapi.Request{Op: agentapi.Propose, Propose: &proposal})
	require.NotNil(t, resp.Error)
	assert.Equal(t, agentapi.Missing, resp.Error.Code)
}

func TestPropose_makesTheFirstConfiguration(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	require.NoError(t, os.Remove(n.path()))
	change := encconfig.Change{Kind: encconfig.AddReadKey, Keys: []encconfig.Key{{Provider: encconfig.AESGCM, Name: "1"}}, Resources: []string{"secrets"}}
	proposal := agentapi.Proposal{Change: change, Recipients: map[string][]byte{"n1": n.identity.PublicKey()}}

	resp := n.ask(agentapi.Request{Op: agentapi.Propose, Propose: &proposal})
	require.Nil(t, resp.Error)
	rules := resp.Proposed.Config.Rules
	require.Len(t, rules, 1)
	assert.Equal(t, encconfig.Identity, rules[0].WriteKey().Provider)
	assert.Equal(t, "aesgcm/1", rules[0].Keys[1].String())

	resp = n.ask(agentapi.Request{Op: agentapi.Install, Install: &agentapi.Installation{
		To: resp.Proposed.Config.Digest, Sealed: resp.Proposed.Sealed["n1"],
	}})
	require.Nil(t, resp.Error)
	assert.Equal(t, rules, resp.State.Config.Rules)
	resp = n.ask(agentapi.Request{Op: agentapi.Propose, Propose: &proposal})
	require.NotNil(t, resp.Error, "there is a file now")
	assert.Equal(t, agentapi.Changed, resp.Error.Code)
}

func TestPropose_refusesWhatIsNoPublicKey(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	resp := n.ask(agentapi.Request{Op: agentapi.Propose, Propose: &agentapi.Proposal{
		From: n.digest(), Change: addKey("2"),
		Recipients: map[string][]byte{"n1": n.identity.PublicKey(), "n2": bytes.Repeat([]byte{1}, 32)},
	}})
	require.NotNil(t, resp.Error)
	assert.Equal(t, agentapi.BadRequest, resp.Error.Code)
	assert.Contains(t, resp.Error.Message, "node n2 has no valid public key")
}
