// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubeadm"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/network"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/process"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/state"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/supervise"
)

// stopGrace is longer than what process 1 of a node gives all others.
const stopGrace = 45 * time.Second

// switchOn starts a node, which then has a running containerd, and a kubelet
// as soon as kubeadm has been there.
func (h *Harness) switchOn(ctx context.Context, node *state.Node) error {
	if err := h.switchOnParts(ctx, node); err != nil {
		return fmt.Errorf("start node %s: %w", node.Name, err)
	}
	h.say("node %s is on", node.Name)
	return nil
}

func (h *Harness) switchOnParts(ctx context.Context, node *state.Node) error {
	if err := h.cgroups.Create(node.Cgroup); err != nil {
		return err
	}
	specs, toNode, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make pipe: %w", err)
	}
	defer func() { _ = toNode.Close() }()
	fromNode, answer, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make pipe: %w", err)
	}
	defer func() { _ = fromNode.Close() }()

	id, err := process.Start(process.Spec{
		Path: h.program, Args: []string{"supervise"}, Log: path(node, "var/log/supervisor.log"),
		Env: []string{"PATH=" + supervise.Path, "HOME=/root"},
		Attributes: &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWPID | unix.CLONE_NEWNET,
		},
		// In the order of SpecDescriptor and ReadyDescriptor.
		Files: []*os.File{specs, answer},
	})
	_ = specs.Close()
	_ = answer.Close()
	if err != nil {
		return err
	}
	node.Process = &id
	if err := h.state.Save(); err != nil {
		return err
	}
	if err := h.cgroups.Join(node.Cgroup, id.PID); err != nil {
		return err
	}
	if err := network.Connect(ctx, *h.state.Network, node.Index, id.PID); err != nil {
		return err
	}
	if err := h.spec(node).Send(toNode); err != nil {
		return err
	}
	_ = toNode.Close()
	stop := context.AfterFunc(ctx, func() { _ = fromNode.Close() })
	defer stop()
	return supervise.AwaitReady(fromNode)
}

func (h *Harness) spec(node *state.Node) supervise.Spec {
	var hosts []string
	for index := 1; index <= network.MaxNodes; index++ {
		hosts = append(hosts, fmt.Sprintf("%s n%d", h.state.Network.Node(index), index))
	}
	return supervise.Spec{
		Name: node.Name, Root: node.Root, Binary: h.state.Binary, BackendsDirectory: h.balancerDirectory(),
		Network: h.state.Network.InteriorOf(node.Index, netip.MustParseAddr(kubeadm.ServiceAddress)),
		Hosts:   hosts,
	}
}

// switchOff ends all processes of a node: after asking them when grace is
// given, otherwise as a power cut does.
func (h *Harness) switchOff(ctx context.Context, node *state.Node, grace time.Duration) error {
	if node.Process != nil {
		end := func() error { return process.Kill(ctx, *node.Process) }
		if grace > 0 {
			end = func() error { return process.Stop(ctx, *node.Process, grace) }
		}
		if err := end(); err != nil {
			return fmt.Errorf("switch off node %s: %w", node.Name, err)
		}
	}
	if err := h.cgroups.Remove(ctx, node.Cgroup); err != nil {
		return fmt.Errorf("switch off node %s: %w", node.Name, err)
	}
	node.Process = nil
	return h.state.Save()
}

// StopNode switches a node off, as `poweroff` does.
func (h *Harness) StopNode(ctx context.Context, name string) error {
	return h.end(ctx, name, stopGrace)
}

// KillNode takes a node its power.
func (h *Harness) KillNode(ctx context.Context, name string) error {
	return h.end(ctx, name, 0)
}

func (h *Harness) end(ctx context.Context, name string, grace time.Duration) error {
	node, err := h.state.Node(name)
	if err != nil {
		return err
	}
	if !node.Running() {
		h.say("node %s is switched off already", name)
	}
	return h.switchOff(ctx, node, grace)
}

// StartNode switches a node on again. It returns when its containerd runs;
// when its kube-apiserver is ready is for the caller to see.
func (h *Harness) StartNode(ctx context.Context, name string) error {
	node, err := h.state.Node(name)
	if err != nil {
		return err
	}
	if node.Running() {
		h.say("node %s is on already", name)
		return nil
	}
	// What a power cut left behind, if that was not by this program.
	if err := h.switchOff(ctx, node, 0); err != nil {
		return err
	}
	return h.switchOn(ctx, node)
}
