// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

func TestInspect_healthyNode(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("7", "3"))
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	require.NoError(t, os.Chtimes(n.path(), at, at))
	require.NoError(t, os.Chmod(n.path(), 0o644))

	st := n.inspect()

	assert.Nil(t, st.Problem)
	assert.Equal(t, encconfig.Digest(exampleConfig("7", "3")), st.Digest)
	assert.Equal(t, st.Digest, st.Config.Digest)
	assert.True(t, st.Config.Writes(gcm("7")))
	assert.Equal(t, "0644", st.Mode, "what is there is told, not what should be")
	assert.True(t, st.ModTime.After(at), "a file that is older than its place there counts from its being put there")
	assert.Equal(t, uint64(7), st.HighestKey)
	assert.Equal(t, n.identity.PublicKey(), st.PublicKey)
	assert.Empty(t, st.History)
	assert.Nil(t, st.Interrupted)
	assert.Empty(t, historyFiles(t, n), "looking leaves nothing")
}

func TestInspect_fileThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	good := exampleConfig("1")
	tests := []struct {
		name    string
		prepare func(t *testing.T, n *node)
		code    agentapi.Code
		message string
		digest  string
	}{
		{
			"the file is missing => missing",
			func(t *testing.T, n *node) { require.NoError(t, os.Remove(n.path())) },
			agentapi.Missing, "look at config.yaml: no such file or directory", "",
		},
		{
			"the folder is missing => missing",
			func(_ *testing.T, n *node) { n.ConfigDir = filepath.Join(n.ConfigDir, "none") },
			agentapi.Missing, "open the config folder: no such file or directory", "",
		},
		{
			"a symbolic link to a file beside it => not followed",
			func(t *testing.T, n *node) {
				require.NoError(t, os.Rename(n.path(), n.path()+".real"))
				require.NoError(t, os.Symlink("config.yaml.real", n.path()))
			},
			agentapi.Unreadable, "not a plain file but a symbolic link", "",
		},
		{
			"a symbolic link out of the folder => not followed",
			func(t *testing.T, n *node) {
				require.NoError(t, os.Rename(n.path(), filepath.Join(n.HistoryDir, "real")))
				require.NoError(t, os.Symlink(filepath.Join(n.HistoryDir, "real"), n.path()))
			},
			agentapi.Unreadable, "not a plain file but a symbolic link", "",
		},
		{
			"a folder => unreadable",
			func(t *testing.T, n *node) {
				require.NoError(t, os.Remove(n.path()))
				require.NoError(t, os.Mkdir(n.path(), 0o700))
			},
			agentapi.Unreadable, "not a plain file but a folder", "",
		},
		{
			"a named pipe that nobody writes to => does not wait",
			func(t *testing.T, n *node) {
				require.NoError(t, os.Remove(n.path()))
				require.NoError(t, syscall.Mkfifo(n.path(), 0o600))
			},
			agentapi.Unreadable, "not a plain file but a named pipe", "",
		},
		{
			"somebody else's file => unreadable",
			func(_ *testing.T, n *node) { n.Owner++ },
			agentapi.Unreadable, "config.yaml is not owned by user", "",
		},
		{
			"larger than any configuration => unreadable",
			func(_ *testing.T, n *node) { n.write(bytes.Repeat([]byte("#"), encconfig.MaxSize+1)) },
			agentapi.Unreadable, "longer than 1048576 bytes", "",
		},
		{
			"an empty file => not understood, with its digest",
			func(_ *testing.T, n *node) { n.write(nil) },
			agentapi.Invalid, "not understood", encconfig.Digest(nil),
		},
		{
			"a cut file => not understood, with its digest",
			func(_ *testing.T, n *node) { n.write(good[:len(good)-40]) },
			agentapi.Invalid, "not understood", encconfig.Digest(good[:len(good)-40]),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, good)
			tt.prepare(t, n)
			st := n.inspect()
			require.NotNil(t, st.Problem)
			assert.Equal(t, tt.code, st.Problem.Code)
			assert.Contains(t, st.Problem.Message, tt.message)
			assert.Nil(t, st.Config)
			assert.Equal(t, tt.digest, st.Digest)
			assert.NotEmpty(t, st.PublicKey, "it can still be mended")
		})
	}
}

func TestInspect_historyThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		prepare func(t *testing.T, n *node)
		message string
	}{
		{
			"a mark that is no number",
			func(t *testing.T, n *node) { writeHistory(t, n, markName, "many") },
			"highest-key does not hold a number",
		},
		{
			"a journal of a later version",
			func(t *testing.T, n *node) { writeHistory(t, n, journalName, `{"version":2}`) },
			"journal.json was not written by this version",
		},
		{
			"a journal that is cut",
			func(t *testing.T, n *node) { writeHistory(t, n, journalName, `{"version":`) },
			"journal.json was not written by this version",
		},
		{
			"a revision that is too large",
			func(t *testing.T, n *node) {
				writeHistory(t, n, "000009-20261120T101112Z-run-1.yaml", string(make([]byte, encconfig.MaxSize+1)))
			},
			"revision 9 can't be read",
		},
		{
			"a folder that is a file",
			func(t *testing.T, n *node) {
				require.NoError(t, os.Rename(n.HistoryDir, n.HistoryDir+".moved"))
				require.NoError(t, os.WriteFile(n.HistoryDir, nil, 0o600))
			},
			"open the history folder",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name+" => is a problem, and the rest is told", func(t *testing.T) {
			t.Parallel()
			n := newNode(t, exampleConfig("1"))
			n.add("2")
			tt.prepare(t, n)
			st := n.inspect()
			require.NotNil(t, st.Problem)
			assert.Contains(t, st.Problem.Message, tt.message)
			assert.Equal(t, n.digest(), st.Digest)
			require.NotNil(t, st.Config)
			assert.Equal(t, uint64(2), st.HighestKey)
		})
	}
}

func writeHistory(t *testing.T, n *node, name, data string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(n.HistoryDir, name), []byte(data), 0o600))
}

func TestInspect_revisionsThatAreNotUnderstood(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	writeHistory(t, n, "000003-20261120T101112Z-run-1.yaml", "garbage")
	writeHistory(t, n, "000012-20261121T101112Z-run-2.yaml", string(exampleConfig("9")))
	writeHistory(t, n, "notes.txt", "left by a person")
	writeHistory(t, n, ".000013-20261121T101112Z-run-2.yaml.tmp", "torn")

	st := n.inspect()

	assert.Nil(t, st.Problem)
	require.Len(t, st.History, 2)
	assert.Equal(t, agentapi.Revision{
		Number: 3, Time: time.Date(2026, 11, 20, 10, 11, 12, 0, time.UTC), Run: "run-1",
		Config: encconfig.Description{Digest: encconfig.Digest([]byte("garbage"))},
	}, st.History[0])
	assert.Equal(t, 12, st.History[1].Number)
	assert.Equal(t, encconfig.Digest(exampleConfig("9")), st.History[1].Config.Digest)
	assert.Equal(t, uint64(9), st.HighestKey, "a key of the past counts")
}
