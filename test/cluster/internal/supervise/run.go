// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/balancer"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubeadm"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/wait"
)

const (
	containerdWait = time.Minute
	// stopGrace is how long what runs on a node may take to end by itself
	// when the node is switched off.
	stopGrace = 20 * time.Second
)

// Run makes the node and keeps it running until the process is told to
// terminate. What a person may want to know goes to log.
func Run(ctx context.Context, specs io.Reader, answer io.WriteCloser, log io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM)
	defer stop()
	spec, err := ReadSpec(specs)
	if err != nil {
		return err
	}
	err = run(ctx, spec, answer, log)
	if err != nil {
		_, _ = io.WriteString(answer, err.Error())
	}
	return err
}

func run(ctx context.Context, spec Spec, answer io.WriteCloser, log io.Writer) error {
	if err := prepare(ctx, spec); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(spec.Network.Service.String(), "443"))
	if err != nil {
		return fmt.Errorf("listen for the kubernetes Service: %w", err)
	}
	go func() {
		if err := balancer.New(backendsMount+"/"+Backends).Run(ctx, listener); err != nil {
			_, _ = fmt.Fprintln(log, "kubernetes Service:", err)
		}
	}()

	children := newChildren(log)
	go children.reap()
	// What is kept running ends in its own order, not all at once with ctx.
	runtime := children.background(context.WithoutCancel(ctx), containerd())
	if err := awaitContainerd(ctx); err != nil {
		return err
	}
	if _, err := io.WriteString(answer, ready); err != nil {
		return fmt.Errorf("report readiness: %w", err)
	}
	_ = answer.Close()
	agent := children.background(context.WithoutCancel(ctx), kubelet())
	<-ctx.Done()
	// The kubelet goes first, because it starts again whatever ends, and
	// containerd last, because it takes down what containers say at the end.
	agent.stop()
	err = endContainers(context.WithoutCancel(ctx), log)
	runtime.stop()
	return err
}

// prepare turns namespaces into a machine: its network, its files, its name.
func prepare(ctx context.Context, spec Spec) error {
	if err := spec.Network.SetUp(ctx); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(spec.Name)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	if err := layOut(spec); err != nil {
		return err
	}
	return enterRoot(spec)
}

func awaitContainerd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, containerdWait)
	defer cancel()
	return wait.Until(ctx, "containerd", 100*time.Millisecond, func(ctx context.Context) error {
		connection, err := (&net.Dialer{}).DialContext(ctx, "unix", kubeadm.ContainerRuntime[len("unix://"):])
		if err != nil {
			return err
		}
		return connection.Close()
	})
}

// endContainers asks every process in a container to end and waits until none
// is left, or until its patience is: the kernel kills the rest with process 1.
func endContainers(ctx context.Context, log io.Writer) error {
	pids, err := contained()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := unix.Kill(pid, unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("end process %d: %w", pid, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	err = wait.Until(ctx, "containers to end", 100*time.Millisecond, func(context.Context) error {
		left, err := contained()
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("%d processes run", len(left))
		}
		return err
	})
	if err != nil {
		_, _ = fmt.Fprintln(log, "killing what is left:", err)
	}
	return nil
}

// contained lists the node's processes but for those that run the node.
func contained() ([]int, error) {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, folder := range folders {
		name, err := os.ReadFile(folder + "/comm")
		if err != nil {
			continue // ended since
		}
		pid, err := strconv.Atoi(filepath.Base(folder))
		// The kernel cuts names: containerd-shim-runc-v2 is containerd-shim.
		if err == nil && pid != 1 && !strings.HasPrefix(string(name), "containerd") {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
