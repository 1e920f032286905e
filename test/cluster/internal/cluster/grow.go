// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/apiclient"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubeadm"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubeconfig"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/network"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/state"
)

// AddNode puts one more node beside the others: containerd runs on it and the
// images are there, but kubeadm was not. It returns the node's name.
func (h *Harness) AddNode(ctx context.Context) (string, error) {
	index := len(h.state.Nodes) + 1
	if index > network.MaxNodes {
		return "", fmt.Errorf("add node: a cluster has at most %d", network.MaxNodes)
	}
	node := newNode(h.state, *h.state.Network, index)
	if err := furnishRuntime(node, h.state.PauseImage); err != nil {
		return "", fmt.Errorf("add node %s: %w", node.Name, err)
	}
	h.state.Nodes = append(h.state.Nodes, node)
	if err := h.state.Save(); err != nil {
		return "", err
	}
	if err := h.switchOn(ctx, node); err != nil {
		return "", err
	}
	if err := h.importImages(ctx, node, h.state.Images); err != nil {
		return "", err
	}
	return node.Name, h.addInstance(node)
}

// addInstance lets the balancer know the instance to come, and a person ask it.
func (h *Harness) addInstance(node *state.Node) error {
	if err := h.writeBackends(); err != nil {
		return err
	}
	admin, err := kubeconfig.Load(h.state.Kubeconfig)
	if err != nil {
		return err
	}
	return admin.WithServer(node.APIServerURL).Save(node.Kubeconfig)
}

// JoinNode makes an added node a part of the control plane and waits until it
// is one. What kubeadm needs there first is for the caller to bring.
func (h *Harness) JoinNode(ctx context.Context, name string) error {
	node, err := h.state.Node(name)
	if err != nil {
		return err
	}
	first, err := h.pick("")
	if err != nil {
		return err
	}
	token, err := h.output(ctx, first, "kubeadm", "token", "create")
	if err != nil {
		return err
	}
	key := kubeadm.NewCertificateKey()
	if _, err := h.output(ctx, first, "kubeadm", "init", "phase", "upload-certs", "--upload-certs", "--certificate-key="+key); err != nil {
		return err
	}
	config := kubeadm.Cluster{Endpoint: h.endpoint(), Token: token, CertificateKey: key}
	if err := h.runKubeadm(ctx, node, config, false); err != nil {
		return err
	}
	admin, err := kubeconfig.Load(h.state.Kubeconfig)
	if err != nil {
		return err
	}
	client, err := apiclient.New(admin)
	if err != nil {
		return err
	}
	return awaitNodes(ctx, client, []*state.Node{node})
}

// output runs a command on a node and returns what it printed.
func (h *Harness) output(ctx context.Context, node *state.Node, args ...string) (string, error) {
	var out, complaint bytes.Buffer
	cmd, err := enter(ctx, node, Streams{Out: &out, Err: &complaint}, args...)
	if err != nil {
		return "", err
	}
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("run %s on node %s: %w: %s", filepath.Base(args[0]), node.Name, err, strings.TrimSpace(complaint.String()))
	}
	return strings.TrimSpace(out.String()), nil
}
