// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
)

// node is a control-plane node: two folders, and an agent that works on them.
type node struct {
	*Server

	t *testing.T
}

const testConfigName = "config.yaml"

// newNode makes a node with a configuration file, or with none if the configuration is nil.
func newNode(t *testing.T, config []byte) *node {
	t.Helper()
	dir := tempFolder(t)
	n := &node{t: t}
	n.Server = newServer(t, filepath.Join(dir, "config"), filepath.Join(dir, "history"), "run-1")
	require.NoError(t, os.Mkdir(n.ConfigDir, 0o755))
	require.NoError(t, os.Mkdir(n.HistoryDir, 0o755))
	if config != nil {
		n.write(config)
	}
	return n
}

// tempFolder is in memory where it can be: these tests sync thousands of times, and it is not the disk that they test.
func tempFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "agent-test-") //nolint:usetesting // t.TempDir is on disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func newServer(t *testing.T, configDir, historyDir, run string) *Server {
	t.Helper()
	s, err := New(Options{
		Node: "n1", Run: run, ConfigDir: configDir, ConfigName: testConfigName, HistoryDir: historyDir,
		Owner: os.Getuid(), Now: func() time.Time { return time.Date(2026, 11, 20, 10, 11, 12, 0, time.UTC) },
		Random: rand.NewChaCha8([32]byte{1}),
	})
	require.NoError(t, err)
	return s
}

// restarted is the same node with a new agent process of another run.
func (n *node) restarted(run string) *node {
	n.t.Helper()
	return &node{t: n.t, Server: newServer(n.t, n.ConfigDir, n.HistoryDir, run)}
}

func (n *node) path() string { return filepath.Join(n.ConfigDir, n.ConfigName) }

func (n *node) write(config []byte) {
	n.t.Helper()
	require.NoError(n.t, os.WriteFile(n.path(), config, 0o600))
}

func (n *node) digest() string {
	n.t.Helper()
	data, err := os.ReadFile(n.path())
	require.NoError(n.t, err)
	return encconfig.Digest(data)
}

// say sends lines to the agent and gives back the lines of its answer.
func (n *node) say(input string) []agentapi.Response {
	n.t.Helper()
	var out bytes.Buffer
	require.NoError(n.t, n.Serve(n.t.Context(), strings.NewReader(input), &out))
	var answers []agentapi.Response
	lines := bufio.NewScanner(&out)
	lines.Buffer(nil, agentapi.MaxLine+1)
	for lines.Scan() {
		var resp agentapi.Response
		dec := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		dec.DisallowUnknownFields()
		require.NoError(n.t, dec.Decode(&resp))
		answers = append(answers, resp)
	}
	require.NoError(n.t, lines.Err())
	return answers
}

func (n *node) ask(req agentapi.Request) agentapi.Response {
	n.t.Helper()
	req.Version = agentapi.Version
	data, err := json.Marshal(req)
	require.NoError(n.t, err)
	answers := n.say(string(data) + "\n")
	require.Len(n.t, answers, 1)
	return answers[0]
}

func (n *node) inspect() agentapi.State {
	n.t.Helper()
	resp := n.ask(agentapi.Request{Op: agentapi.Inspect})
	require.Nil(n.t, resp.Error)
	require.NotNil(n.t, resp.State)
	return *resp.State
}

func (n *node) propose(c encconfig.Change, recipients ...*node) agentapi.Response {
	n.t.Helper()
	to := map[string][]byte{}
	for _, r := range recipients {
		to[r.Node] = r.identity.PublicKey()
	}
	return n.ask(agentapi.Request{Op: agentapi.Propose, Propose: &agentapi.Proposal{
		From: n.digest(), Change: c, Recipients: to,
	}})
}

// prepared is a proposal of the node for itself, ready to be installed.
func (n *node) prepared(c encconfig.Change) agentapi.Installation {
	n.t.Helper()
	resp := n.propose(c, n)
	require.Nil(n.t, resp.Error)
	return agentapi.Installation{From: n.digest(), To: resp.Proposed.Config.Digest, Sealed: resp.Proposed.Sealed[n.Node]}
}

func (n *node) install(i agentapi.Installation) agentapi.Response {
	n.t.Helper()
	return n.ask(agentapi.Request{Op: agentapi.Install, Install: &i})
}

// add proposes and installs a new read key.
func (n *node) add(name string) {
	n.t.Helper()
	resp := n.install(n.prepared(addKey(name)))
	require.Nil(n.t, resp.Error)
}

func addKey(name string) encconfig.Change {
	return encconfig.Change{Kind: encconfig.AddReadKey, Keys: []encconfig.Key{gcm(name)}}
}

func promote(name string) encconfig.Change {
	return encconfig.Change{Kind: encconfig.Promote, Keys: []encconfig.Key{gcm(name)}}
}

func gcm(name string) encconfig.Key { return encconfig.Key{Provider: encconfig.AESGCM, Name: name} }

// exampleConfig has the named keys, the first one as write key, with secrets that follow from the names.
func exampleConfig(names ...string) []byte {
	var b strings.Builder
	b.WriteString("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n" +
		"  - resources:\n      - secrets\n    providers:\n      - aesgcm:\n          keys:\n")
	for _, name := range names {
		fmt.Fprintf(&b, "            - name: %q\n              secret: %s\n", name, exampleKey(name).Base64())
	}
	b.WriteString("      - identity: {}\n")
	return []byte(b.String())
}

func exampleKey(name string) keys.Secret {
	return keys.New([]byte(fmt.Sprintf("%-32s", "key material of "+name))[:keys.Size])
}

func historyFiles(t *testing.T, n *node) []string {
	t.Helper()
	return fileNames(t, n.HistoryDir)
}

func fileNames(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// assertSound holds a node against what must hold whatever has happened: the file is one of the given ones and
// whole, it is understood, and the history can be read.
func assertSound(t *testing.T, n *node, digests ...string) agentapi.State {
	t.Helper()
	st := n.inspect()
	require.Nil(t, st.Problem)
	require.Contains(t, digests, st.Digest)
	require.Equal(t, "0600", st.Mode)
	for _, r := range st.History {
		require.NotEmpty(t, r.Config.Rules, "revision %d", r.Number)
	}
	return st
}

// assertClean holds that nothing temporary is left on the node.
func assertClean(t *testing.T, n *node) {
	t.Helper()
	assert.Equal(t, []string{n.ConfigName}, fileNames(t, n.ConfigDir))
	for _, name := range historyFiles(t, n) {
		if _, ok := parseRevision(name); !ok {
			assert.Contains(t, []string{lockName, markName, writtenName}, name)
		}
	}
}
