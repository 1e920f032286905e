// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cluster starts and ends clusters of real nodes on one machine. A
// node is a set of namespaces with a root folder of its own, in which run
// containerd, a kubelet, and what kubeadm makes of the two.
package cluster

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/cgroup"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/encryption"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubernetes"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/network"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/state"
)

// MaxSize is how many nodes a cluster starts with at most.
const MaxSize = 3

// Options say what cluster to start.
type Options struct {
	Dir        string
	Kubernetes string
	Nodes      int
	Encryption string
	ReloadPoll time.Duration
	Compaction time.Duration
	Audit      bool
	// Images are archives to load on every node beside Kubernetes' own.
	Images []string
}

// Validate reports what is wrong with the options.
func (o Options) Validate() error {
	if o.Nodes < 1 || o.Nodes > MaxSize {
		return fmt.Errorf("a cluster has 1 to %d nodes, not %d", MaxSize, o.Nodes)
	}
	if o.ReloadPoll <= 0 {
		return fmt.Errorf("the reload poll must be longer than nothing, not %s", o.ReloadPoll)
	}
	if o.Compaction <= 0 {
		return fmt.Errorf("the compaction interval must be longer than nothing, not %s", o.Compaction)
	}
	for _, image := range o.Images {
		if _, err := os.Stat(image); err != nil {
			return fmt.Errorf("find image: %w", err)
		}
	}
	return encryption.Validate(o.Encryption)
}

func (o Options) shape() state.Shape {
	return state.Shape{
		KubernetesVersion: o.Kubernetes, Size: o.Nodes, Encryption: o.Encryption,
		ReloadPoll: o.ReloadPoll.String(), Compaction: o.Compaction.String(), Audit: o.Audit,
	}
}

// Harness works on one cluster. It is made anew for every command; what lasts
// is in its state.
type Harness struct {
	state   *state.Cluster
	log     io.Writer
	cgroups cgroup.Tree
	// program is this program itself, which is also process 1 of a node and
	// the balancer.
	program string
}

// Open returns a harness for the cluster that was started in dir.
func Open(dir string, log io.Writer) (*Harness, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find folder: %w", err)
	}
	known, err := state.LoadCluster(dir)
	if err != nil {
		return nil, fmt.Errorf("find cluster in %s: %w", dir, err)
	}
	return newHarness(known, log)
}

// OpenLocked is Open for a command that changes the cluster, while no other
// does. Where nothing was started, no folder is made either.
func OpenLocked(dir string, log io.Writer) (*Harness, func(), error) {
	if _, err := Open(dir, log); err != nil {
		return nil, nil, err
	}
	unlock, err := state.Lock(dir)
	if err != nil {
		return nil, nil, err
	}
	// Again, since what another command wrote counts.
	harness, err := Open(dir, log)
	if err != nil {
		unlock()
		return nil, nil, err
	}
	return harness, unlock, nil
}

func newHarness(known *state.Cluster, log io.Writer) (*Harness, error) {
	cgroups, err := cgroup.Detect()
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return &Harness{state: known, log: log, cgroups: cgroups, program: program}, nil
}

// newState describes the cluster to be.
func newState(dir string, options Options, build kubernetes.Build, subnet network.Subnet) *state.Cluster {
	cluster := &state.Cluster{
		Shape: options.shape(), Dir: dir, Kubeconfig: filepath.Join(dir, "kubeconfig"),
		Binary: build.Binary, PauseImage: build.PauseImage, Images: build.Images,
		Network: &subnet, Bridge: subnet.Bridge(), Gateway: subnet.Gateway().String(),
	}
	for index := 1; index <= options.Nodes; index++ {
		cluster.Nodes = append(cluster.Nodes, newNode(cluster, subnet, index))
	}
	return cluster
}

func newNode(cluster *state.Cluster, subnet network.Subnet, index int) *state.Node {
	name := fmt.Sprintf("n%d", index)
	ip := subnet.Node(index).String()
	return &state.Node{
		Name: name, Index: index, IP: ip, Root: filepath.Join(cluster.Dir, "nodes", name),
		APIServerURL: "https://" + apiServerAddress(ip), Kubeconfig: filepath.Join(cluster.Dir, "kubeconfig-"+name),
		PodSubnet: network.PodSubnet(index).String(), Cgroup: subnet.Bridge() + "/" + name,
	}
}

func (h *Harness) say(format string, args ...any) {
	_, _ = fmt.Fprintf(h.log, format+"\n", args...)
}

// path is a file of a node, named as the node itself does.
func path(node *state.Node, name string) string {
	return filepath.Join(node.Root, name)
}
