// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// exampleHolds is a key of exampleConfig with its fingerprint.
func exampleHolds(name string) encconfig.Key {
	return describe(exampleConfig(name)).Keys()[0]
}

// pruned is a node on which key 1 was in use, is in the history, and is in the file no more.
func pruned(t *testing.T) *node {
	t.Helper()
	n := newNode(t, exampleConfig("2", "1"))
	remove := encconfig.Change{Kind: encconfig.Remove, Keys: []encconfig.Key{gcm("1")}}
	require.Nil(t, n.install(n.prepared(remove)).Error)
	require.Len(t, n.inspect().History, 2)
	return n
}

func (n *node) forgetKeys(keys ...encconfig.Key) agentapi.Response {
	n.t.Helper()
	return n.ask(agentapi.Request{Op: agentapi.Forget, Forget: &agentapi.Forgetting{From: n.digest(), Keys: keys}})
}

func TestForget_removesEveryRevisionWithTheKey(t *testing.T) {
	t.Parallel()
	n := pruned(t)
	before := n.digest()
	resp := n.forgetKeys(exampleHolds("1"))
	require.Nil(t, resp.Error)
	require.Len(t, resp.State.History, 1)
	assert.False(t, resp.State.History[0].Config.Has(gcm("1")))
	assert.Equal(t, before, n.digest(), "the configuration stays")
	assert.Equal(t, uint64(2), resp.State.HighestKey)
	assertClean(t, n)
	require.Nil(t, n.forgetKeys(exampleHolds("1")).Error, "what is forgotten may be forgotten again")
}

func TestForget_spendsTheName(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("2"))
	writeHistory(t, n, "000001-20261120T101112Z-run-1.yaml", string(exampleConfig("7")))
	require.Nil(t, n.forgetKeys(exampleHolds("7")).Error)
	st := n.inspect()
	assert.Empty(t, st.History)
	assert.Equal(t, uint64(7), st.HighestKey)
	assert.Equal(t, uint64(7), st.HighestWritten)
}

func TestForget_refuses(t *testing.T) {
	t.Parallel()
	const first = "000001-20261120T101112Z-run-1.yaml"
	tests := []struct {
		name    string
		prepare func(t *testing.T, n *node)
		forget  agentapi.Forgetting
		message string
	}{
		{"a key of the configuration", nil, agentapi.Forgetting{Keys: []encconfig.Key{exampleHolds("2")}}, "is in the configuration"},
		{
			"another configuration than expected", nil,
			agentapi.Forgetting{From: encconfig.Digest(nil), Keys: []encconfig.Key{exampleHolds("1")}},
			"not what was expected",
		},
		{
			"what would take another key along", func(t *testing.T, n *node) { writeHistory(t, n, first, string(exampleConfig("1", "9"))) },
			agentapi.Forgetting{Keys: []encconfig.Key{exampleHolds("1")}},
			"key aesgcm/9 is only in revisions that hold the key too",
		},
		{
			"a revision that may hold anything", func(t *testing.T, n *node) { writeHistory(t, n, first, "what is this?") },
			agentapi.Forgetting{Keys: []encconfig.Key{exampleHolds("1")}},
			"revision 1 is not understood",
		},
		{
			"an installation that has not ended", func(t *testing.T, n *node) {
				writeHistory(t, n, journalName, `{"version":1,"run":"r","from":"a","to":"b"}`)
			},
			agentapi.Forgetting{Keys: []encconfig.Key{exampleHolds("1")}},
			"was interrupted",
		},
		{"no key", nil, agentapi.Forgetting{}, "does not name keys"},
		{"a key without its fingerprint", nil, agentapi.Forgetting{Keys: []encconfig.Key{gcm("1")}}, "does not name keys"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := pruned(t)
			if tt.prepare != nil {
				require.NoError(t, os.RemoveAll(n.HistoryDir))
				require.NoError(t, os.Mkdir(n.HistoryDir, 0o755))
				tt.prepare(t, n)
			}
			if tt.forget.From == "" {
				tt.forget.From = n.digest()
			}
			before := historyFiles(t, n)
			resp := n.ask(agentapi.Request{Op: agentapi.Forget, Forget: &tt.forget})
			require.NotNil(t, resp.Error)
			assert.Contains(t, resp.Error.Message, tt.message)
			for _, name := range before {
				assert.Contains(t, historyFiles(t, n), name)
			}
		})
	}
}

func TestForget_endsAnInstallationThatWasInterrupted(t *testing.T) {
	t.Parallel()
	for name, about := range map[string]func(digest string) intent{
		"past the rename": func(d string) intent {
			return intent{Version: journalVersion, Run: "r", From: encconfig.Digest(nil), To: d}
		},
		"before the rename": func(d string) intent {
			return intent{Version: journalVersion, Run: "r", From: d, To: encconfig.Digest(nil)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := pruned(t)
			data, err := json.Marshal(about(n.digest()))
			require.NoError(t, err)
			writeHistory(t, n, journalName, string(data))
			left := filepath.Join(n.ConfigDir, tempName(n.ConfigName, "r"))
			require.NoError(t, os.WriteFile(left, exampleConfig("1"), 0o600))
			require.Nil(t, n.forgetKeys(exampleHolds("1")).Error)
			assert.NoFileExists(t, left, "it holds the key")
			assert.NotContains(t, historyFiles(t, n), journalName)
			assert.Nil(t, n.inspect().Interrupted)
		})
	}
}

func TestForget_killedAtAnyPoint(t *testing.T) {
	t.Parallel()
	prepare := func() *node {
		n := pruned(t)
		writeHistory(t, n, "000000-20261119T101112Z-run-1.yaml", string(exampleConfig("1")))
		return n
	}
	n := prepare()
	f := agentapi.Forgetting{From: n.digest(), Keys: []encconfig.Key{exampleHolds("1")}}
	calls := len(record(n, func() { require.NoError(t, n.forget(f)) }))
	require.Greater(t, calls, 5)
	for at := range calls {
		n := prepare()
		killAt(n, at)
		require.Error(t, n.forget(f), "system call %d", at)
		n.before = nil
		assertSound(t, n, f.From)
		require.Nil(t, n.forgetKeys(f.Keys...).Error, "system call %d", at)
		assert.Len(t, n.inspect().History, 1)
	}
}

func TestForget_whileAnotherAgentInstalls(t *testing.T) {
	t.Parallel()
	n := pruned(t)
	other, err := n.openHistory()
	require.NoError(t, err)
	defer other.close()
	unlock, err := other.lock()
	require.NoError(t, err)
	defer unlock()
	err = n.forget(agentapi.Forgetting{From: n.digest(), Keys: []encconfig.Key{exampleHolds("1")}})
	known, ok := errors.AsType[*agentapi.Error](err)
	require.True(t, ok)
	assert.Equal(t, agentapi.Changed, known.Code)
}

func TestPropose_takesAKeyThatComesBackFromTheHistory(t *testing.T) {
	t.Parallel()
	n := pruned(t)
	former := exampleHolds("1")
	i := n.prepared(encconfig.Change{Kind: encconfig.AddReadKey, Keys: []encconfig.Key{former}})
	require.Nil(t, n.install(i).Error)
	st := n.inspect()
	assert.True(t, st.Config.Reads(gcm("1")))
	assert.Contains(t, st.Config.Keys(), former)
	assert.Contains(t, string(readFile(t, n.path())), exampleKey("1").Base64(), "the very key")
	assert.Equal(t, uint64(2), st.HighestWritten)

	another := former
	another.Fingerprint = "0123456789abcdef"
	fresh := newNode(t, exampleConfig("2"))
	for _, k := range []encconfig.Key{former, another} {
		resp := fresh.propose(encconfig.Change{Kind: encconfig.AddReadKey, Keys: []encconfig.Key{k}}, fresh)
		require.NotNil(t, resp.Error, "a key that is known by its fingerprint is never made anew")
		assert.Contains(t, resp.Error.Message, "does not have key aesgcm/1")
	}
}
