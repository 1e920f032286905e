// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/process"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/state"
)

func TestCluster_saveAndLoad(t *testing.T) {
	t.Parallel()
	cluster := &state.Cluster{
		Shape: state.Shape{KubernetesVersion: "v1.37.1", Size: 1, Encryption: "aesgcm", ReloadPoll: "2s"},
		Dir:   t.TempDir(), Ready: true,
		Nodes: []*state.Node{{Name: "n1", Index: 1, IP: "10.209.1.11", Process: &process.Identity{PID: 1, Started: 2, BootID: "b"}}},
	}
	require.NoError(t, cluster.Save())
	loaded, err := state.LoadCluster(cluster.Dir)
	require.NoError(t, err)
	assert.Equal(t, cluster, loaded)
	entries, err := os.ReadDir(cluster.Dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "no temporary file stays")
}

// The names are what tests outside of this module read.
func TestCluster_keepsItsContract(t *testing.T) {
	t.Parallel()
	cluster := &state.Cluster{Dir: t.TempDir(), Nodes: []*state.Node{{Name: "n1"}}}
	require.NoError(t, cluster.Save())
	content, err := os.ReadFile(filepath.Join(cluster.Dir, state.ClusterFile))
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(content, &got))
	for _, name := range []string{"kubernetesVersion", "dir", "encryption", "reloadPoll", "kubeconfig", "nodes"} {
		assert.Contains(t, got, name)
	}
	node := got["nodes"].([]any)[0]
	for _, name := range []string{"name", "ip", "root", "apiserverURL", "kubeconfig"} {
		assert.Contains(t, node, name)
	}
}

func TestBare_keepsItsContract(t *testing.T) {
	t.Parallel()
	bare := &state.Bare{
		Dir: t.TempDir(), Balancer: &state.Balancer{Address: "127.0.0.1:1"},
		APIServers: []*state.APIServer{{Name: "apiserver-1"}}, Etcd: state.Etcd{Endpoint: "http://127.0.0.1:2"},
	}
	require.NoError(t, bare.Save())
	content, err := os.ReadFile(filepath.Join(bare.Dir, state.BareFile))
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(content, &got))
	assert.Equal(t, "http://127.0.0.1:2", got["etcd"].(map[string]any)["endpoint"])
	assert.Equal(t, "127.0.0.1:1", got["balancer"].(map[string]any)["address"])
	for _, name := range []string{"name", "url", "kubeconfig", "encryptionConfig", "pid"} {
		assert.Contains(t, got["apiservers"].([]any)[0], name)
	}
}

func TestLoad_tellsNothingFromSomethingUnreadable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := state.LoadCluster(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(filepath.Join(dir, state.ClusterFile), []byte("{"), 0o600))
	_, err = state.LoadCluster(dir)
	require.Error(t, err)
	assert.NotErrorIs(t, err, os.ErrNotExist)
}

func TestLock_isForOneAtATime(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "for", "it")
	unlock, err := state.Lock(dir)
	require.NoError(t, err)
	_, err = state.Lock(dir)
	require.ErrorIs(t, err, state.ErrBusy)
	unlock()
	unlock, err = state.Lock(dir)
	require.NoError(t, err)
	unlock()
}

func TestNode_isFoundByName(t *testing.T) {
	t.Parallel()
	cluster := &state.Cluster{Nodes: []*state.Node{{Name: "n1"}, {Name: "n2"}}}
	node, err := cluster.Node("n2")
	require.NoError(t, err)
	assert.Equal(t, "n2", node.Name)
	assert.False(t, node.Running(), "it has no process")
	_, err = cluster.Node("n3")
	assert.ErrorContains(t, err, `"n3"`)
}

func TestAlive_countsWhatRuns(t *testing.T) {
	t.Parallel()
	self, err := process.Identify(os.Getpid())
	require.NoError(t, err)
	gone := self
	gone.Started++
	assert.True(t, (&state.Cluster{Nodes: []*state.Node{{Process: &gone}, {Process: &self}}}).Alive())
	assert.False(t, (&state.Cluster{Nodes: []*state.Node{{Process: &gone}, {}}}).Alive())
	assert.True(t, (&state.Bare{Etcd: state.Etcd{Process: &self}}).Alive())
	assert.False(t, (&state.Bare{Etcd: state.Etcd{Process: &gone}}).Alive())
}

func TestAPIServer_isFoundByNumber(t *testing.T) {
	t.Parallel()
	bare := &state.Bare{APIServers: []*state.APIServer{{Name: "apiserver-1"}}}
	server, err := bare.APIServer(1)
	require.NoError(t, err)
	assert.Equal(t, "apiserver-1", server.Name)
	for _, number := range []int{0, 2, -1} {
		_, err := bare.APIServer(number)
		assert.Error(t, err, "%d", number)
	}
}
