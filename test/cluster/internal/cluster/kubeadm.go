// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubeadm"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubernetes"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/state"
)

func (h *Harness) kubeadmConfig(options Options) kubeadm.Cluster {
	return kubeadm.Cluster{
		KubernetesVersion: options.Kubernetes,
		ImageRepository:   kubernetes.ImageRepository,
		Endpoint:          h.endpoint(),
		CertSANs:          []string{"127.0.0.1", "localhost"},
		Encryption:        options.Encryption,
		ReloadPoll:        options.ReloadPoll,
		Compaction:        options.Compaction,
		Audit:             options.Audit,
		CgroupV1:          h.cgroups.Version == 1,
		Token:             kubeadm.NewToken(),
		CertificateKey:    kubeadm.NewCertificateKey(),
	}
}

// runKubeadm makes the node a part of the cluster, the first by init and all
// others by join.
func (h *Harness) runKubeadm(ctx context.Context, node *state.Node, cluster kubeadm.Cluster, first bool) error {
	render, args := kubeadm.Join, []string{"join"}
	if first {
		render, args = kubeadm.Init, []string{"init", "--upload-certs"}
	}
	config, err := render(cluster, kubeadm.Node{Name: node.Name, Address: node.IP, CgroupRoot: "/" + node.Cgroup})
	if err != nil {
		return err
	}
	log, err := os.OpenFile(path(node, "var/log/kubeadm.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open kubeadm's log: %w", err)
	}
	defer func() { _ = log.Close() }()

	ctx, cancel := context.WithTimeout(ctx, kubeadmWait)
	defer cancel()
	started := time.Now()
	// The configuration holds secrets: it goes over a pipe, not into a file.
	streams := Streams{In: bytes.NewReader(config), Out: log, Err: log}
	cmd, err := enter(ctx, node, streams, append([]string{"kubeadm"}, append(args, "--config=/dev/stdin")...)...)
	if err != nil {
		return err
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run kubeadm %s on node %s: %w", args[0], node.Name, err)
	}
	h.say("node %s: kubeadm %s took %s", node.Name, args[0], time.Since(started).Round(time.Second))
	return nil
}
