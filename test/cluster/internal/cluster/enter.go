// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/state"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/supervise"
)

// Streams are what a command on a node reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// enter prepares a command that runs on the node.
func enter(ctx context.Context, node *state.Node, streams Streams, args ...string) (*exec.Cmd, error) {
	if !node.Running() {
		return nil, fmt.Errorf("enter node %s: it is switched off", node.Name)
	}
	line := append([]string{
		"--target", strconv.Itoa(node.Process.PID), "--mount", "--uts", "--ipc", "--net", "--pid", "--",
		"/usr/bin/env", "-i", "PATH=" + supervise.Path, "HOME=/root", "TERM=" + os.Getenv("TERM"),
		"KUBECONFIG=/etc/kubernetes/admin.conf", "CONTAINERD_NAMESPACE=k8s.io",
	}, args...)
	cmd := exec.CommandContext(ctx, "nsenter", line...)
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = streams.In, streams.Out, streams.Err
	return cmd, nil
}

// Exec runs a command on a node. An *exec.ExitError is the command's own.
func (h *Harness) Exec(ctx context.Context, name string, streams Streams, args []string) error {
	node, err := h.state.Node(name)
	if err != nil {
		return err
	}
	cmd, err := enter(ctx, node, streams, args...)
	if err != nil {
		return err
	}
	return cmd.Run()
}

// Etcdctl runs etcdctl against the etcd of a node, of the first that is on
// when name is empty.
func (h *Harness) Etcdctl(ctx context.Context, name string, streams Streams, args []string) error {
	node, err := h.pick(name)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "etcdctl", args...)
	certificates := path(node, "etc/kubernetes/pki/etcd")
	cmd.Env = append(os.Environ(),
		"ETCDCTL_API=3",
		"ETCDCTL_ENDPOINTS=https://"+node.IP+":2379",
		"ETCDCTL_CACERT="+certificates+"/ca.crt",
		"ETCDCTL_CERT="+certificates+"/healthcheck-client.crt",
		"ETCDCTL_KEY="+certificates+"/healthcheck-client.key",
	)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = streams.In, streams.Out, streams.Err
	return cmd.Run()
}

func (h *Harness) pick(name string) (*state.Node, error) {
	if name != "" {
		return h.state.Node(name)
	}
	for _, node := range h.state.Nodes {
		if node.Running() {
			return node, nil
		}
	}
	return nil, fmt.Errorf("no node of the cluster in %s is on", h.state.Dir)
}
