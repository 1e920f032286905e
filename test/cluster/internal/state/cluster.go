// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"path/filepath"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/network"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/process"
)

// ClusterFile is the name of a cluster's state in its folder.
const ClusterFile = "cluster.json"

// Shape is what a cluster is asked to be. Two clusters of the same shape
// serve a test alike.
type Shape struct {
	KubernetesVersion string `json:"kubernetesVersion"`
	Size              int    `json:"size"`
	Encryption        string `json:"encryption"`
	// ReloadPoll is how often a kube-apiserver looks at its encryption
	// configuration, as a Go duration.
	ReloadPoll string `json:"reloadPoll"`
	// Compaction is how often a kube-apiserver compacts etcd, as a Go duration.
	Compaction string `json:"compaction"`
	Audit      bool   `json:"audit"`
	// EtcdPrefix and EtcdOverrides, separated by commas, are of a bare control
	// plane whose kube-apiservers do not keep everything in one etcd under
	// /registry.
	EtcdPrefix    string `json:"etcdPrefix,omitempty"`
	EtcdOverrides string `json:"etcdOverrides,omitempty"`
}

// String tells a person the shape.
func (s Shape) String() string {
	text := fmt.Sprintf("Kubernetes %s, size %d, encryption %s, reload poll %s, compaction %s",
		s.KubernetesVersion, s.Size, s.Encryption, s.ReloadPoll, s.Compaction)
	if s.Audit {
		text += ", audit log"
	}
	if s.EtcdPrefix != "" {
		text += ", etcd prefix " + s.EtcdPrefix
	}
	if s.EtcdOverrides != "" {
		text += ", a second etcd for " + s.EtcdOverrides
	}
	return text
}

// Cluster is a cluster of nodes.
type Cluster struct {
	Shape

	Dir string `json:"dir"`
	// Ready says that the start went through to its end.
	Ready      bool   `json:"ready"`
	Kubeconfig string `json:"kubeconfig"`
	Binary     string `json:"binary"`
	PauseImage string `json:"pauseImage"`
	// Images are the archives that every node has loaded.
	Images   []string        `json:"images"`
	Network  *network.Subnet `json:"network,omitempty"`
	Bridge   string          `json:"bridge"`
	Gateway  string          `json:"gateway"`
	Balancer *Balancer       `json:"balancer,omitempty"`
	Nodes    []*Node         `json:"nodes"`
}

// Node is one node of a cluster.
type Node struct {
	Name         string `json:"name"`
	Index        int    `json:"index"`
	IP           string `json:"ip"`
	Root         string `json:"root"`
	APIServerURL string `json:"apiserverURL"`
	Kubeconfig   string `json:"kubeconfig"`
	PodSubnet    string `json:"podSubnet"`
	Cgroup       string `json:"cgroup"`
	// Process is the node's process 1; none when it is switched off.
	Process *process.Identity `json:"process,omitempty"`
}

// Balancer is the process in front of all kube-apiservers.
type Balancer struct {
	// Address is where it listens on the machine's loopback.
	Address string           `json:"address"`
	Process process.Identity `json:"process"`
}

// LoadCluster reads the state of the cluster in dir.
func LoadCluster(dir string) (*Cluster, error) {
	var cluster Cluster
	if err := load(filepath.Join(dir, ClusterFile), &cluster); err != nil {
		return nil, err
	}
	return &cluster, nil
}

// Save writes the state to the cluster's folder.
func (c *Cluster) Save() error {
	return save(filepath.Join(c.Dir, ClusterFile), c)
}

// Node returns the node of this name.
func (c *Cluster) Node(name string) (*Node, error) {
	for _, node := range c.Nodes {
		if node.Name == name {
			return node, nil
		}
	}
	return nil, fmt.Errorf("no node %q in the cluster of %s", name, c.Dir)
}

// Running reports whether the node's process 1 lives.
func (n *Node) Running() bool {
	return n.Process != nil && n.Process.Alive()
}

// Alive reports whether anything of the cluster still runs.
func (c *Cluster) Alive() bool {
	if c.Balancer != nil && c.Balancer.Process.Alive() {
		return true
	}
	for _, node := range c.Nodes {
		if node.Running() {
			return true
		}
	}
	return false
}
