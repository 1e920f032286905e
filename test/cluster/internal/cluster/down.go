// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/network"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/process"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/state"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/wait"
)

const (
	takeDownWait  = 4 * time.Minute
	balancerGrace = 3 * time.Second
	leftoverWait  = 2 * time.Minute
	leftoverPoll  = 200 * time.Millisecond
)

// Down ends the cluster in dir and takes away all that it left on the machine.
// Where there is none, there is nothing to do.
func Down(ctx context.Context, dir string, log io.Writer) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("find folder: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, state.ClusterFile)); errors.Is(err, fs.ErrNotExist) {
		_, _ = fmt.Fprintf(log, "no cluster in %s\n", dir)
		return nil
	}
	h, unlock, err := OpenLocked(dir, log)
	if err != nil {
		return err
	}
	defer unlock()
	if err := h.takeDown(ctx); err != nil {
		return err
	}
	h.say("the cluster in %s is gone", dir)
	return nil
}

// takeDown goes on where something resists, so that as little as possible is
// left; the state stays until nothing is, and with it the way to try again.
func (h *Harness) takeDown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeDownWait)
	defer cancel()
	var errs []error
	var group errgroup.Group
	for _, node := range h.state.Nodes {
		// A node's process 1 takes all others of the node with it at once,
		// so that no order among them is to be kept.
		group.Go(func() error {
			if node.Process == nil {
				return nil
			}
			return process.Kill(ctx, *node.Process)
		})
	}
	errs = append(errs, group.Wait())
	if h.state.Balancer != nil {
		errs = append(errs, process.Stop(ctx, h.state.Balancer.Process, balancerGrace))
	}
	errs = append(errs, h.cgroups.Remove(ctx, h.state.Bridge), network.Delete(ctx, *h.state.Network))
	errs = append(errs, h.awaitNothingLeft(ctx))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("take down cluster: %w", err)
	}
	return h.removeFiles()
}

// awaitNothingLeft gives the kernel time: it takes a network namespace apart, and
// with it the node's end of the cable, some time after its last process is gone.
func (h *Harness) awaitNothingLeft(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leftoverWait)
	defer cancel()
	return wait.Until(ctx, "nothing is left", leftoverPoll, func(context.Context) error { return h.leftovers() })
}

// leftovers looks for what must not be there any more.
func (h *Harness) leftovers() error {
	var errs []error
	for _, group := range h.cgroups.Left(h.state.Bridge) {
		errs = append(errs, fmt.Errorf("left: control group %s", group))
	}
	for _, pid := range h.cgroups.Members(h.state.Bridge) {
		errs = append(errs, fmt.Errorf("left: process %d", pid))
	}
	if network.Exists(h.state.Bridge) {
		errs = append(errs, fmt.Errorf("left: network interface %s", h.state.Bridge))
	}
	for _, node := range h.state.Nodes {
		if cable := h.state.Network.Cable(node.Index); network.Exists(cable) {
			errs = append(errs, fmt.Errorf("left: network interface %s", cable))
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return errors.Join(append(errs, fmt.Errorf("list mounts: %w", err))...)
	}
	for _, point := range mountsBelow(string(mounts), h.state.Dir) {
		errs = append(errs, fmt.Errorf("left: mount %s", point))
	}
	return errors.Join(errs...)
}

// mountsBelow picks the mount points below dir out of a mountinfo table.
func mountsBelow(table, dir string) []string {
	var points []string
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			points = append(points, fields[4])
		}
	}
	return points
}

// removeFiles deletes what the harness wrote into the cluster's folder. It
// follows leftovers, which makes sure that nothing is mounted there.
func (h *Harness) removeFiles() error {
	files := []string{"nodes", "balancer", "balancer.log", "kubeconfig"}
	for _, node := range h.state.Nodes {
		files = append(files, filepath.Base(node.Kubeconfig))
	}
	// Last, since it is what the others are found by.
	files = append(files, state.ClusterFile)
	for _, file := range files {
		if err := os.RemoveAll(filepath.Join(h.state.Dir, file)); err != nil {
			return fmt.Errorf("remove files: %w", err)
		}
	}
	return nil
}
