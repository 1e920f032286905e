// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/seal"
)

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Mode().Perm()
}

func TestInstall_replacesTheFileAndKeepsBoth(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	require.NoError(t, os.Chmod(n.path(), 0o644))
	i := n.prepared(addKey("2"))

	resp := n.install(i)

	require.Nil(t, resp.Error)
	st := resp.State
	assert.Equal(t, i.To, st.Digest)
	assert.Equal(t, "0600", st.Mode)
	assert.Equal(t, uint64(2), st.HighestKey)
	assert.Nil(t, st.Interrupted)
	require.Len(t, st.History, 2)
	assert.Equal(t, []string{i.From, i.To}, []string{st.History[0].Config.Digest, st.History[1].Config.Digest})
	assert.Equal(t, exampleConfig("1"), readFile(t, filepath.Join(n.HistoryDir, "000001-20261120T101112Z-run-1.yaml")))
	assert.Equal(t, readFile(t, n.path()), readFile(t, filepath.Join(n.HistoryDir, "000002-20261120T101112Z-run-1.yaml")))
	assert.Equal(t, fs.FileMode(0o700), mode(t, n.HistoryDir))
	for _, name := range historyFiles(t, n) {
		assert.Equal(t, fs.FileMode(0o600), mode(t, filepath.Join(n.HistoryDir, name)), name)
	}
	assertClean(t, n)
}

func TestInstall_isDoneOnce(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	i := n.prepared(addKey("2"))
	require.Nil(t, n.install(i).Error)
	before, err := os.Stat(n.path())
	require.NoError(t, err)

	require.Nil(t, n.install(i).Error, "already so")

	after, err := os.Stat(n.path())
	require.NoError(t, err)
	assert.True(t, os.SameFile(before, after), "the file is left as it is")
	assert.Len(t, n.inspect().History, 2)
	assertClean(t, n)
}

func TestInstall_alreadySoWithAnotherMode(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	i := n.prepared(encconfig.Change{Kind: encconfig.KeepAll})
	require.NoError(t, os.Chmod(n.path(), 0o640))
	resp := n.install(i)
	require.Nil(t, resp.Error)
	assert.Equal(t, "0600", resp.State.Mode)
	assert.Len(t, resp.State.History, 1, "what is in use is in the history from now on")
}

func TestInstall_aWholeRotation(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	n.add("2")
	for _, c := range []encconfig.Change{promote("2"), {Kind: encconfig.Remove, Keys: []encconfig.Key{gcm("1")}}} {
		require.Nil(t, n.install(n.prepared(c)).Error)
	}
	st := n.inspect()
	assert.Equal(t, []encconfig.Key{gcm("2")}, withoutFingerprints(st.Config.Keys()))
	require.Len(t, st.History, 4)
	assert.Equal(t, st.Digest, st.History[3].Config.Digest)
	assert.Equal(t, uint64(2), st.HighestKey)
}

func withoutFingerprints(keys []encconfig.Key) []encconfig.Key {
	for i := range keys {
		keys[i].Fingerprint = ""
	}
	return keys
}

func TestInstall_refuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		change  func(t *testing.T, n *node, i *agentapi.Installation)
		code    agentapi.Code
		message string
	}{
		{
			"a file that somebody has edited",
			func(_ *testing.T, n *node, _ *agentapi.Installation) { n.write(exampleConfig("1", "edited1")) },
			agentapi.Changed, "changed by somebody else",
		},
		{
			"a file that is gone",
			func(t *testing.T, n *node, _ *agentapi.Installation) { require.NoError(t, os.Remove(n.path())) },
			agentapi.Missing, "no such file",
		},
		{
			"a file that is a symbolic link now",
			func(t *testing.T, n *node, _ *agentapi.Installation) {
				require.NoError(t, os.Rename(n.path(), n.path()+".real"))
				require.NoError(t, os.Symlink("config.yaml.real", n.path()))
			},
			agentapi.Unreadable, "a symbolic link",
		},
		{
			"a changed message",
			func(_ *testing.T, _ *node, i *agentapi.Installation) { i.Sealed[40] ^= 1 },
			agentapi.NotSealed, "not sealed for this agent",
		},
		{
			"a message of another run",
			func(_ *testing.T, n *node, _ *agentapi.Installation) { n.Run = "run-2" },
			agentapi.NotSealed, "not sealed for this agent",
		},
		{
			"a message for another node",
			func(_ *testing.T, n *node, _ *agentapi.Installation) { n.Node = "n2" },
			agentapi.NotSealed, "not sealed for this agent",
		},
		{
			"a message for an agent that is gone",
			func(_ *testing.T, n *node, _ *agentapi.Installation) { n.identity = n.restarted("run-1").identity },
			agentapi.NotSealed, "not sealed for this agent",
		},
		{
			"a message that was announced as another one",
			func(_ *testing.T, _ *node, i *agentapi.Installation) { i.To = encconfig.Digest(nil) },
			agentapi.NotSealed, "not sealed for this agent",
		},
		{
			"a configuration that was made from another file",
			func(_ *testing.T, n *node, i *agentapi.Installation) {
				n.write(exampleConfig("3"))
				i.From = n.digest()
			},
			agentapi.NotSealed, "not sealed for this agent",
		},
		{
			"a sealed message that is not what it says",
			func(t *testing.T, n *node, i *agentapi.Installation) {
				*i = sealedFor(t, n, i.From, encconfig.Digest(nil), exampleConfig("2"))
			},
			agentapi.NotSealed, "not the one that was announced",
		},
		{
			"a sealed message that is no configuration",
			func(t *testing.T, n *node, i *agentapi.Installation) {
				*i = sealedFor(t, n, i.From, encconfig.Digest([]byte("x")), []byte("x"))
			},
			agentapi.Invalid, "not understood",
		},
		{
			"a journal of a later version",
			func(t *testing.T, n *node, _ *agentapi.Installation) {
				writeHistory(t, n, journalName, `{"version":2}`)
			},
			agentapi.Invalid, "not written by this version",
		},
		{
			"a history folder of somebody else",
			func(_ *testing.T, n *node, _ *agentapi.Installation) { n.Owner++ },
			agentapi.WriteFailed, "not owned by user",
		},
		{
			"a history folder that is missing",
			func(t *testing.T, n *node, _ *agentapi.Installation) { require.NoError(t, os.Remove(n.HistoryDir)) },
			agentapi.WriteFailed, "open the history folder: no such file",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name+" => refused, and nothing is changed", func(t *testing.T) {
			t.Parallel()
			n := newNode(t, exampleConfig("1"))
			i := n.prepared(addKey("2"))
			tt.change(t, n, &i)
			before := snapshot(t, n)
			resp := n.install(i)
			require.NotNil(t, resp.Error)
			assert.Equal(t, tt.code, resp.Error.Code)
			assert.Contains(t, resp.Error.Message, tt.message)
			require.NotNil(t, resp.State, "the state is told all the same")
			after := snapshot(t, n)
			delete(after, "history/"+lockName)
			assert.Equal(t, before, after)
		})
	}
}

// snapshot is all files of a node.
func snapshot(t *testing.T, n *node) map[string]string {
	t.Helper()
	files := map[string]string{}
	for label, dir := range map[string]string{"config": n.ConfigDir, "history": n.HistoryDir} {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		for _, name := range fileNames(t, dir) {
			files[label+"/"+name] = string(readFile(t, filepath.Join(dir, name)))
		}
	}
	return files
}

func sealedFor(t *testing.T, n *node, from, to string, data []byte) agentapi.Installation {
	t.Helper()
	c := seal.Context{Run: n.Run, Recipient: n.Node, From: from, To: to}
	sealed, err := seal.Seal(n.identity.PublicKey(), c, data)
	require.NoError(t, err)
	return agentapi.Installation{From: from, To: to, Sealed: sealed}
}

func TestInstall_aCopyMendsAnotherNode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		has  []byte
	}{
		{"a node with an older configuration", exampleConfig("1")},
		{"a node with a file that is not understood", []byte("garbage")},
		{"a node with no file", nil},
		{"a node that has it already", exampleConfig("2", "1")},
	}
	for _, tt := range tests {
		t.Run(tt.name+" => has the copy, and its own file is kept", func(t *testing.T) {
			t.Parallel()
			source, n := newNode(t, exampleConfig("2", "1")), newNode(t, tt.has)
			n.Node = "n2"
			resp := source.propose(encconfig.Change{Kind: encconfig.KeepAll}, n)
			require.Nil(t, resp.Error)
			i := agentapi.Installation{To: resp.Proposed.Config.Digest, Sealed: resp.Proposed.Sealed["n2"]}
			if tt.has != nil {
				i.From = n.digest()
			}
			answer := n.install(i)
			require.Nil(t, answer.Error)
			assert.Equal(t, exampleConfig("2", "1"), readFile(t, n.path()))
			var kept []string
			for _, r := range answer.State.History {
				kept = append(kept, r.Config.Digest)
			}
			if tt.has != nil {
				assert.Contains(t, kept, encconfig.Digest(tt.has))
			}
			assert.Contains(t, kept, i.To)
		})
	}
}

func TestInstall_noFileIsExpectedButThereIsOne(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	i := n.prepared(encconfig.Change{Kind: encconfig.KeepAll})
	n.write(exampleConfig("2"))
	i.From = ""
	resp := n.install(i)
	require.NotNil(t, resp.Error)
	assert.Equal(t, agentapi.Changed, resp.Error.Code)
}

func TestInstall_sweepsOurLeftoversAndNobodyElses(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	leave := func(dir, name string) { require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600)) }
	leave(n.ConfigDir, tempName(n.ConfigName, "run-0"))
	leave(n.ConfigDir, ".config.yaml.swp")
	leave(n.ConfigDir, tempName("other.yaml", "run-0"))
	leave(n.HistoryDir, ".journal.json.tmp")
	leave(n.HistoryDir, "notes.txt")
	writeHistory(t, n, journalName, `{"version":1,"run":"run-0","from":"a","to":"b"}`)
	assert.Equal(t, &agentapi.Installation{From: "a", To: "b"}, n.inspect().Interrupted)

	n.add("2")

	assert.Equal(t, []string{".config.yaml.swp", tempName("other.yaml", "run-0"), "config.yaml"}, fileNames(t, n.ConfigDir))
	assert.Equal(t, []string{
		"000001-20261120T101112Z-run-1.yaml", "000002-20261120T101112Z-run-1.yaml", markName, writtenName, lockName, "notes.txt",
	}, historyFiles(t, n))
	assert.Nil(t, n.inspect().Interrupted)
}

func TestInstall_historyForgetsRevisionsButNoNumber(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	for number := 2; number <= KeepRevisions+3; number++ {
		n.add(strconv.Itoa(number))
	}
	st := n.inspect()
	assert.Len(t, st.History, KeepRevisions, "the newer ones hold every key of the older ones")
	assert.Equal(t, uint64(KeepRevisions+3), st.HighestKey)
	assert.Equal(t, uint64(1), st.HighestWritten)

	for _, name := range historyFiles(t, n) {
		if _, ok := parseRevision(name); ok {
			require.NoError(t, os.Remove(filepath.Join(n.HistoryDir, name)))
		}
	}
	assert.Equal(t, uint64(KeepRevisions+3), n.inspect().HighestKey, "the mark stays without any revision")
	resp := n.propose(addKey(strconv.Itoa(KeepRevisions+3)), n)
	require.NotNil(t, resp.Error)
}

func TestInstall_historyKeepsWhatAloneHoldsAKey(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	for number := 2; number <= KeepRevisions+3; number++ {
		n.add(strconv.Itoa(number))
		n.write(exampleConfig("1")) // somebody takes the key out again, by hand
	}
	st := n.inspect()
	for number := 2; number <= KeepRevisions+3; number++ {
		name := strconv.Itoa(number)
		assert.True(t, slices.ContainsFunc(st.History, func(r agentapi.Revision) bool { return r.Config.Has(gcm(name)) }), "key %s", name)
	}
}

func TestInstall_historyKeepsWhatIsNotUnderstood(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	writeHistory(t, n, "000001-20261120T101112Z-run-1.yaml", "kind: SomethingElse\n")
	for number := 2; number <= KeepRevisions+3; number++ {
		n.add(strconv.Itoa(number))
	}
	assert.Empty(t, n.inspect().History[0].Config.Rules)
}

func TestInstall_marksEveryKeyThatMayHaveWritten(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	n.add("2")
	assert.Equal(t, uint64(1), n.inspect().HighestWritten, "a read key writes nothing")
	require.Nil(t, n.install(n.prepared(promote("2"))).Error)
	require.Nil(t, n.install(n.prepared(promote("1"))).Error)
	n.add("3")
	for _, name := range historyFiles(t, n) {
		if _, ok := parseRevision(name); ok {
			require.NoError(t, os.Remove(filepath.Join(n.HistoryDir, name)))
		}
	}
	assert.Equal(t, uint64(2), n.inspect().HighestWritten, "key 2 has written, and 1 writes again")

	older := newNode(t, exampleConfig("1", "2"))
	writeHistory(t, older, "000001-20261120T101112Z-run-1.yaml", string(exampleConfig("2", "1"))) // of an agent without this mark
	older.add("3")
	require.NoError(t, os.Remove(filepath.Join(older.HistoryDir, "000001-20261120T101112Z-run-1.yaml")))
	assert.Equal(t, uint64(2), older.inspect().HighestWritten)
}

// Whatever is installed, every key that was ever in the file is in the file or in the history, and the newest revisions stay.
func TestInstall_neverForgetsAKey(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		h := history{folder: &folder{}}
		dir, err := os.MkdirTemp("/dev/shm", "agent-test-") //nolint:usetesting // one for each round, in memory
		if err != nil {
			dir = t.TempDir()
		}
		defer func() { _ = os.RemoveAll(dir) }()
		h.folder, err = openFolder(dir, "history", os.Getuid(), nil)
		require.NoError(rt, err)
		defer h.close()
		seen := map[encconfig.Key]bool{}
		var files []string
		for range rapid.IntRange(1, 30).Draw(rt, "installations") {
			names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}), 1, 3, rapid.ID[string]).Draw(rt, "keys")
			data := exampleConfig(names...)
			for _, k := range describe(data).Keys() {
				seen[k] = true
			}
			name, err := h.record(data, "run-1", time.Unix(0, 0), 1)
			require.NoError(rt, err)
			if name != "" {
				files = append(files, name)
			}
			require.NoError(rt, h.prune())
		}
		list, err := h.describe()
		require.NoError(rt, err)
		for k := range seen {
			if !slices.ContainsFunc(list, func(r agentapi.Revision) bool { return slices.Contains(r.Config.Keys(), k) }) {
				rt.Fatalf("key %s is lost", k)
			}
		}
		left, err := h.names()
		require.NoError(rt, err)
		for _, name := range files[max(0, len(files)-KeepRevisions):] {
			assert.Contains(rt, left, name)
		}
		assert.LessOrEqual(rt, len(left), KeepRevisions+len(seen), "one revision for each key at most is kept beyond the newest")
	})
}

func TestInstall_whileAnotherAgentInstalls(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	i := n.prepared(addKey("2"))
	other, err := n.openHistory()
	require.NoError(t, err)
	defer other.close()
	unlock, err := other.lock()
	require.NoError(t, err)

	resp := n.install(i)
	require.NotNil(t, resp.Error)
	assert.Equal(t, agentapi.Changed, resp.Error.Code)
	assert.Contains(t, resp.Error.Message, "another agent is installing")
	assert.Equal(t, i.From, n.digest())

	unlock()
	require.Nil(t, n.install(i).Error)
}

func TestInstall_ofTwoAtOnceOneWins(t *testing.T) {
	t.Parallel()
	for round := range 20 {
		n := newNode(t, exampleConfig("1"))
		agents := []*node{n.restarted("run-a"), n.restarted("run-b"), n.restarted("run-c")}
		installations := make([]agentapi.Installation, len(agents))
		for i, a := range agents {
			installations[i] = a.prepared(addKey(strconv.Itoa(2 + i)))
		}
		errs := make([]error, len(agents))
		var wg sync.WaitGroup
		for i, a := range agents {
			wg.Go(func() { errs[i] = a.Server.install(installations[i]) })
		}
		wg.Wait()
		winner := slices.Index(errs, nil)
		require.GreaterOrEqual(t, winner, 0, "round %d", round)
		for i, err := range errs {
			if i == winner {
				continue
			}
			require.Error(t, err, "round %d: both %d and %d", round, winner, i)
			assert.Equal(t, agentapi.Changed, coded(err, "").Code)
		}
		assertSound(t, n, installations[winner].To)
		assertClean(t, n)
	}
}
