// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// shape is what a cluster is asked to be.
type shape struct {
	name string
	// nodes are there at first, joins come later.
	nodes, joins int
	encryption   string
	reloadPoll   string
	// compaction is how often etcd is compacted, Kubernetes' own five minutes if it is empty.
	compaction string
	audit      bool
	// kubernetes is another version than the one that the harness starts by itself, if it is not empty.
	kubernetes string
}

// cluster is a running cluster.
type cluster struct {
	env environment
	dir string
	// user is the kubeconfig that the plugin is run with, of somebody who has the shipped roles.
	user   string
	config *rest.Config
	client kubernetes.Interface
	nodes  []*node
	// untouched: the plugin has not changed anything yet.
	untouched bool
}

// node is one control-plane node.
type node struct {
	name string
	// root is the folder that is the node's root directory.
	root string
	// pid is the node's process 1.
	pid int
	// client asks the node's own kube-apiserver, config says how.
	client kubernetes.Interface
	config *rest.Config
}

// start brings a cluster up and takes it down when the test is over, however it ends.
func (e environment) start(t *testing.T, s shape) *cluster {
	t.Helper()
	if s.kubernetes != "" {
		e.build(t, s.kubernetes)
	}
	nodes := int64(s.nodes + s.joins)
	require.NoError(t, e.room.Acquire(t.Context(), nodes))
	t.Cleanup(func() { e.room.Release(nodes) })
	e.starting.Lock()
	defer e.starting.Unlock()
	c := &cluster{env: e, dir: filepath.Join(e.dir, s.name)}
	t.Cleanup(func() { c.end(t) })
	t.Logf("starting %d node(s) in %s", s.nodes, c.dir)
	args := []string{
		"up", "--dir", c.dir, "--nodes", strconv.Itoa(s.nodes), "--encryption", s.encryption,
		"--reload-poll", s.reloadPoll, "--audit=" + strconv.FormatBool(s.audit), "--load-image", e.agentImage,
	}
	if s.compaction != "" {
		args = append(args, "--compaction", s.compaction)
	}
	if s.kubernetes != "" {
		args = append(args, "--kubernetes", s.kubernetes)
	}
	_, err := e.cluster(t.Context(), 8*time.Minute, args...)
	require.NoError(t, err)
	if e.keep { // it may have been started with another image
		_, err := e.cluster(t.Context(), time.Minute, "load", "--dir", c.dir, e.agentImage)
		require.NoError(t, err)
	}
	require.NoError(t, os.MkdirAll(c.operatorDir(), 0o755))
	c.read(t)
	c.user = c.operator(t)
	_, err = c.client.CoreV1().ConfigMaps(systemNamespace).Get(t.Context(), ourName, metav1.GetOptions{})
	c.untouched = apierrors.IsNotFound(err)
	return c
}

// build makes a version of Kubernetes, unless it is in the cache: a quarter of an hour of two processors.
func (e environment) build(t *testing.T, version string) {
	t.Helper()
	const limit = time.Hour
	_, err := e.cluster(context.WithoutCancel(t.Context()), limit, "build", "--kubernetes", version)
	require.NoError(t, err)
}

// read fills in what the harness tells of the cluster.
func (c *cluster) read(t *testing.T) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(c.dir, "cluster.json"))
	require.NoError(t, err)
	var state struct {
		Kubeconfig string
		Nodes      []struct {
			Name, Root, Kubeconfig string
			Process                struct{ PID int }
		}
	}
	require.NoError(t, json.Unmarshal(data, &state))
	c.config, c.client = connect(t, state.Kubeconfig)
	c.nodes = nil
	for _, n := range state.Nodes {
		config, client := connect(t, n.Kubeconfig)
		c.nodes = append(c.nodes, &node{name: n.Name, root: n.Root, pid: n.Process.PID, client: client, config: config})
	}
}

func connect(t *testing.T, kubeconfig string) (*rest.Config, kubernetes.Interface) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	config.QPS = -1
	config.UserAgent = "e2e"
	config.WarningHandler = rest.NoWarnings{}
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return config, client
}

func (c *cluster) end(t *testing.T) {
	t.Helper()
	if c.env.keep {
		t.Logf("left running: %s", c.dir)
		return
	}
	_, err := c.env.cluster(context.WithoutCancel(t.Context()), 2*time.Minute, "down", "--dir", c.dir)
	assert.NoError(t, err)
}
