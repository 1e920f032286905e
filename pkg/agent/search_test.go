// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/residue"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/snapshot/snapshottest"
)

// secretText is in every value: none of it may be in an answer.
const secretText = "not-for-any-answer"

// memberNode is a node with the files of a member of etcd: in the database 3 Secrets under key 1 and one under key 2, in the log
// 40 segments with one under key 1 each.
func memberNode(t *testing.T) *node {
	t.Helper()
	n := newNode(t, nil)
	n.SnapDir, n.WALDir = t.TempDir(), t.TempDir()
	values := map[string]string{"/registry/secrets/ns/new": "k8s:enc:aesgcm:v1:2:" + strings.Repeat(secretText, 3)}
	for i := range 3 {
		values[fmt.Sprintf("/registry/secrets/ns/old-%d", i)] = "k8s:enc:aesgcm:v1:1:" + strings.Repeat(secretText, 300)
	}
	n.put(n.SnapDir, database, snapshottest.Database(t, values))
	entry, err := proto.Marshal(&etcdserverpb.PutRequest{Key: []byte("/registry/secrets/ns/x"), Value: []byte("k8s:enc:aesgcm:v1:1:" + secretText)})
	require.NoError(t, err)
	for i := range 40 {
		n.put(n.WALDir, fmt.Sprintf("%016x.wal", i), append(bytes.Repeat([]byte{0}, 100*i), entry...))
	}
	return n
}

func (n *node) put(dir, name string, b []byte) {
	n.t.Helper()
	require.NoError(n.t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
}

func searching() agentapi.Searching {
	rule := encconfig.Rule{Resources: []string{"secrets"}, Keys: []encconfig.Key{{Provider: encconfig.AESGCM, Name: "2"}, {Provider: encconfig.AESGCM, Name: "1"}}}
	return agentapi.Searching{Prefix: "/registry", Config: encconfig.Description{Digest: "sha256:x", Rules: []encconfig.Rule{rule}}, Resources: []string{"secrets"}}
}

func (n *node) search(s agentapi.Searching) agentapi.Response {
	n.t.Helper()
	return n.ask(agentapi.Request{Version: agentapi.Version, Op: agentapi.Search, Search: &s})
}

// oldCopies are how many old copies there are in each place.
func oldCopies(counts []residue.Count) map[residue.Place]int64 {
	places := map[residue.Place]int64{}
	for _, c := range counts {
		for _, g := range c.Old() {
			places[c.Place] += g.Objects
		}
	}
	return places
}

func TestSearchFindsWhatIsLeftInEachFile(t *testing.T) {
	t.Parallel()
	n := memberNode(t)
	values := map[string]string{"/registry/secrets/ns/sent": "k8s\x00" + secretText}
	n.put(n.SnapDir, "00000000000000ff.snap.db", snapshottest.Database(t, values))
	n.put(n.SnapDir, "0000000000000001-0000000000000001.snap", []byte("the log's own snapshot"))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(n.SnapDir, "link")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(n.WALDir, "fifo"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(n.WALDir, "folder"), 0o700))

	r := n.search(searching())
	require.Nil(t, r.Error)
	assert.Nil(t, r.State, "nothing of the node's files is told")
	assert.True(t, r.Searched.Done)
	assert.Equal(t, r.Searched.Size, r.Searched.Read)
	assert.Equal(t, int64(1), r.Searched.Compacted, "it was never compacted")
	assert.Equal(t, map[residue.Place]int64{residue.Superseded: 3, residue.Beside: 1, residue.Logged: 40}, oldCopies(r.Searched.Counts))
	line, err := json.Marshal(r)
	require.NoError(t, err)
	assert.NotContains(t, string(line), secretText)

	compacted := searching()
	compacted.Compacted = 100
	r = n.search(compacted)
	assert.Equal(t, int64(100), r.Searched.Compacted)
	assert.Equal(t, map[residue.Place]int64{residue.Freed: 3, residue.Beside: 1, residue.Logged: 40}, oldCopies(r.Searched.Counts))
}

func TestSearchGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	n := memberNode(t)
	ask := searching()
	ask.Within = time.Nanosecond
	var all []residue.Count
	var read int64
	requests := 0
	for done := false; !done; requests++ {
		r := n.search(ask)
		require.Nil(t, r.Error)
		var err error
		all, err = residue.Merge(all, r.Searched.Counts)
		require.NoError(t, err)
		read += r.Searched.Read
		done = r.Searched.Done
		require.True(t, done || r.Searched.Next != ask.From && r.Searched.Read > 0, "headway")
		ask.From, ask.Compacted = r.Searched.Next, r.Searched.Compacted
	}
	assert.Greater(t, requests, 40, "as little as one block each")
	assert.Equal(t, map[residue.Place]int64{residue.Superseded: 3, residue.Logged: 40}, oldCopies(all))
	assert.Equal(t, n.search(searching()).Searched.Size, read)
}

func TestSearchPassesOverASegmentThatIsGone(t *testing.T) {
	t.Parallel()
	n := memberNode(t)
	ask := searching()
	ask.From = agentapi.Position{Folder: agentapi.WALFolder, Name: fmt.Sprintf("%016x.wal", 38), Offset: 12, Inode: 1}
	require.NoError(t, os.Remove(filepath.Join(n.WALDir, ask.From.Name)))
	r := n.search(ask)
	require.Nil(t, r.Error)
	assert.Equal(t, map[residue.Place]int64{residue.Logged: 1}, oldCopies(r.Searched.Counts))
}

func TestSearchRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change  func(n *node, s *agentapi.Searching)
		code    agentapi.Code
		message string
	}{
		"a database that was replaced meanwhile": {
			func(_ *node, s *agentapi.Searching) {
				s.Compacted, s.From = 7, agentapi.Position{Folder: agentapi.SnapFolder, Name: database, Offset: 4096, Inode: 1}
			}, agentapi.Changed, "as a defragmentation does",
		},
		"a member without a database": {
			func(n *node, _ *agentapi.Searching) {
				require.NoError(n.t, os.Remove(filepath.Join(n.SnapDir, database)))
			},
			agentapi.Unreadable, "read etcd's database: no such file",
		},
		"a database that is none": {
			func(n *node, _ *agentapi.Searching) { n.put(n.SnapDir, database, make([]byte, 8192)) }, agentapi.Unreadable, "etcd's database can't be read",
		},
		"a log that is not there": {
			func(n *node, _ *agentapi.Searching) { n.WALDir += "/no" }, agentapi.Unreadable, "open the folder wal of etcd: no such file",
		},
		"a negative time":     {func(_ *node, s *agentapi.Searching) { s.Within = -1 }, agentapi.BadRequest, "can't be"},
		"an unknown folder":   {func(_ *node, s *agentapi.Searching) { s.From = agentapi.Position{Folder: "etc", Name: "x"} }, agentapi.BadRequest, "can't be"},
		"a negative offset":   {func(_ *node, s *agentapi.Searching) { s.From.Offset = -1 }, agentapi.BadRequest, "can't be"},
		"a file with no name": {func(_ *node, s *agentapi.Searching) { s.From.Folder = "snap" }, agentapi.BadRequest, "can't be"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := memberNode(t)
			ask := searching()
			tt.change(n, &ask)
			r := n.search(ask)
			require.NotNil(t, r.Error)
			assert.Equal(t, tt.code, r.Error.Code)
			assert.Contains(t, r.Error.Message, tt.message)
		})
	}
}
