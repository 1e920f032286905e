// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/apiclient"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/balancer"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/deps"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubeadm"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubeconfig"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubernetes"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/network"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/state"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/supervise"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/wait"
)

const (
	kubeadmWait = 6 * time.Minute
	readyWait   = 4 * time.Minute
	pollReady   = 500 * time.Millisecond
)

// Up starts a cluster, or finds that it runs already. One that fails to start
// is taken away again.
func Up(ctx context.Context, options Options, log io.Writer) error {
	dir, err := filepath.Abs(options.Dir)
	if err != nil {
		return fmt.Errorf("find folder: %w", err)
	}
	unlock, err := state.Lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	if done, err := settle(ctx, dir, options, log); done || err != nil {
		return err
	}
	if err := errors.Join(deps.CheckRoot(), deps.Check(), deps.CheckInotify(options.Nodes)); err != nil {
		return err
	}
	build, err := kubernetes.Get(ctx, options.Kubernetes, log)
	if err != nil {
		return err
	}
	subnet, err := network.Create(ctx, dir)
	if err != nil {
		return fmt.Errorf("make network: %w", err)
	}
	h, err := newHarness(newState(dir, options, build, subnet), log)
	if err != nil {
		return errors.Join(err, network.Delete(context.WithoutCancel(ctx), subnet))
	}
	if err := h.start(ctx, options); err != nil {
		return h.giveUp(ctx, err)
	}
	h.say("the cluster runs: kubeconfig %s", h.state.Kubeconfig)
	return nil
}

// settle looks at what dir already holds. It reports true if that is the
// cluster that is asked for, and clears away what a lost one left.
func settle(ctx context.Context, dir string, options Options, log io.Writer) (bool, error) {
	known, err := state.LoadCluster(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	h, err := newHarness(known, log)
	if err != nil {
		return false, err
	}
	if !known.Alive() || !known.Ready {
		h.say("an earlier cluster in %s did not end well: clearing it away", dir)
		return false, h.takeDown(ctx)
	}
	if known.Shape != options.shape() {
		return false, fmt.Errorf("a cluster of another shape runs in %s (%s): take it down first, with `cluster down --dir %s`", dir, known.Shape, dir)
	}
	h.say("already running: %s, kubeconfig %s", known.Shape, known.Kubeconfig)
	for _, node := range known.Nodes {
		if !node.Running() {
			h.say("node %s is switched off", node.Name)
		}
	}
	return true, h.LoadImages(ctx, options.Images)
}

// start brings up everything in order and records each part before the next.
func (h *Harness) start(ctx context.Context, options Options) error {
	if err := os.RemoveAll(filepath.Join(h.state.Dir, failedFolder)); err != nil {
		return fmt.Errorf("clear logs of an earlier start: %w", err)
	}
	if err := h.state.Save(); err != nil {
		return err
	}
	if err := h.startBalancer(ctx); err != nil {
		return err
	}
	if err := h.furnish(options); err != nil {
		return err
	}
	if err := h.startNodes(ctx, options.Images); err != nil {
		return err
	}
	config := h.kubeadmConfig(options)
	for i, node := range h.state.Nodes {
		if err := h.runKubeadm(ctx, node, config, i == 0); err != nil {
			return err
		}
	}
	if err := h.writeKubeconfigs(); err != nil {
		return err
	}
	if err := h.awaitReady(ctx); err != nil {
		return err
	}
	h.state.Ready = true
	return h.state.Save()
}

func (h *Harness) startBalancer(ctx context.Context) error {
	if err := os.MkdirAll(h.balancerDirectory(), 0o755); err != nil {
		return fmt.Errorf("make balancer's folder: %w", err)
	}
	if err := h.writeBackends(); err != nil {
		return err
	}
	id, bound, err := balancer.Start(ctx, h.program, h.backendsFile(), filepath.Join(h.state.Dir, "balancer.log"),
		"127.0.0.1:0", h.endpoint())
	if err != nil {
		return err
	}
	h.state.Balancer = &state.Balancer{Address: bound[0], Process: id}
	return h.state.Save()
}

func (h *Harness) balancerDirectory() string {
	return filepath.Join(h.state.Dir, "balancer")
}

func (h *Harness) backendsFile() string {
	return filepath.Join(h.balancerDirectory(), supervise.Backends)
}

func (h *Harness) writeBackends() error {
	var backends []string
	for _, node := range h.state.Nodes {
		backends = append(backends, apiServerAddress(node.IP))
	}
	return balancer.WriteBackends(h.backendsFile(), backends)
}

// endpoint is how the nodes know the control plane as a whole: the balancer,
// where it listens on their bridge.
func (h *Harness) endpoint() string {
	return apiServerAddress(h.state.Gateway)
}

func apiServerAddress(host string) string {
	return net.JoinHostPort(host, strconv.Itoa(kubeadm.APIServerPort))
}

// startNodes switches all nodes on at once and loads the images there.
func (h *Harness) startNodes(ctx context.Context, images []string) error {
	for _, node := range h.state.Nodes {
		if err := h.switchOn(ctx, node); err != nil {
			return err
		}
	}
	if err := h.importEverywhere(ctx, h.state.Images); err != nil {
		return err
	}
	return h.LoadImages(ctx, images)
}

func (h *Harness) writeKubeconfigs() error {
	admin, err := kubeconfig.Load(path(h.state.Nodes[0], "etc/kubernetes/admin.conf"))
	if err != nil {
		return err
	}
	server := h.state.Nodes[0].APIServerURL
	if len(h.state.Nodes) > 1 {
		server = "https://" + h.state.Balancer.Address
	}
	if err := admin.WithServer(server).Save(h.state.Kubeconfig); err != nil {
		return err
	}
	for _, node := range h.state.Nodes {
		if err := admin.WithServer(node.APIServerURL).Save(node.Kubeconfig); err != nil {
			return err
		}
	}
	return nil
}

// awaitReady returns when the cluster is what a test may rely on: every node
// and kube-apiserver Ready, and every instance known by the Service.
func (h *Harness) awaitReady(ctx context.Context) error {
	config, err := kubeconfig.Load(h.state.Kubeconfig)
	if err != nil {
		return err
	}
	client, err := apiclient.New(config)
	if err != nil {
		return err
	}
	return awaitNodes(ctx, client, h.state.Nodes)
}

func awaitNodes(ctx context.Context, client *apiclient.Client, nodes []*state.Node) error {
	var names, addresses []string
	for _, node := range nodes {
		names, addresses = append(names, node.Name), append(addresses, node.IP)
	}
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	return wait.Until(ctx, "the cluster to be ready", pollReady, func(ctx context.Context) error {
		if err := client.NodesReady(ctx, names); err != nil {
			return err
		}
		return client.EndpointsListed(ctx, addresses)
	})
}
