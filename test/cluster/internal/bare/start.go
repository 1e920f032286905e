// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package bare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/apiclient"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/balancer"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubeconfig"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/logs"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/process"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/state"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/wait"
)

const (
	readyWait  = 2 * time.Minute
	pollReady  = 250 * time.Millisecond
	linesShown = 8
)

var anyLine = regexp.MustCompile(`\S`)

// start brings up everything and records each process as soon as it runs.
func (h *Harness) start(ctx context.Context) error {
	if err := h.state.Save(); err != nil {
		return err
	}
	if err := h.writeBackends(); err != nil {
		return err
	}
	if len(h.state.APIServers) > 1 {
		if err := h.startBalancer(ctx); err != nil {
			return err
		}
	}
	if err := h.furnish(); err != nil {
		return err
	}
	for _, etcd := range h.state.Etcds() {
		if err := h.startEtcd(etcd); err != nil {
			return err
		}
	}
	for i := range h.state.APIServers {
		if err := h.startAPIServer(i + 1); err != nil {
			return err
		}
	}
	if err := h.awaitReady(ctx); err != nil {
		return err
	}
	h.state.Ready = true
	return h.state.Save()
}

func (h *Harness) startBalancer(ctx context.Context) error {
	id, bound, err := balancer.Start(ctx, h.program, h.backendsFile(), h.path("balancer", "log"), "127.0.0.1:0")
	if err != nil {
		return err
	}
	h.state.Balancer = &state.Balancer{Address: bound[0], Process: id}
	return h.state.Save()
}

func (h *Harness) startEtcd(etcd *state.Etcd) error {
	id, err := process.Start(process.Spec{
		Path: h.state.Binary, Args: h.etcdArguments(etcd), Env: environment(), Log: h.path(etcd.Name, "log"),
	})
	if err != nil {
		return err
	}
	etcd.Process = &id
	return h.state.Save()
}

func (h *Harness) startControllerManager() error {
	id, err := process.Start(process.Spec{
		Path: h.state.Binary, Args: h.controllerManagerArguments(), Env: environment(), Log: h.path("controller-manager", "log"),
	})
	if err != nil {
		return err
	}
	h.state.ControllerManager = &id
	return h.state.Save()
}

// startAPIServer starts an instance under a host name of its own: from that
// an instance takes the identity by which others, and its metrics, know it.
func (h *Harness) startAPIServer(number int) error {
	server, err := h.state.APIServer(number)
	if err != nil {
		return err
	}
	spec := process.Spec{
		Path: h.program, Args: append([]string{"under-name", server.Name, h.state.Binary}, h.apiServerArguments(number)...),
		Env: h.apiServerEnvironment(), Log: server.Log, Attributes: ownHostName(),
	}
	if len(h.state.APIServers) == 1 && os.Geteuid() != 0 {
		// Alone it needs no other name, and not every machine lets who is
		// not root make the namespace for one.
		spec.Path, spec.Args, spec.Attributes = h.state.Binary, h.apiServerArguments(number), nil
	}
	id, err := process.Start(spec)
	if err != nil {
		return err
	}
	server.Process, server.PID = &id, id.PID
	return h.state.Save()
}

// KillAPIServer ends an instance as a crash does.
func (h *Harness) KillAPIServer(ctx context.Context, number int) error {
	server, err := h.state.APIServer(number)
	if err != nil {
		return err
	}
	if server.Process == nil || !server.Process.Alive() {
		h.say("%s is not running", server.Name)
		return nil
	}
	if err := process.Kill(ctx, *server.Process); err != nil {
		return err
	}
	server.Process, server.PID = nil, 0
	return h.state.Save()
}

// StartAPIServer starts an instance again, and returns when it is ready.
func (h *Harness) StartAPIServer(ctx context.Context, number int) error {
	server, err := h.state.APIServer(number)
	if err != nil {
		return err
	}
	if server.Process != nil && server.Process.Alive() {
		h.say("%s runs already", server.Name)
		return nil
	}
	if err := h.startAPIServer(number); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	return h.awaitAPIServer(ctx, server)
}

func (h *Harness) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	var addresses []string
	for i, server := range h.state.APIServers {
		if err := h.awaitAPIServer(ctx, server); err != nil {
			return err
		}
		addresses = append(addresses, advertised(i+1))
	}
	// Not before: it gives up when it is not let in within ten seconds.
	if err := h.startControllerManager(); err != nil {
		return err
	}
	client, err := clientFor(h.state.Kubeconfig)
	if err != nil {
		return err
	}
	return wait.Until(ctx, "the control plane to be ready", pollReady, func(ctx context.Context) error {
		if err := client.EndpointsListed(ctx, addresses); err != nil {
			return err
		}
		// Made by the kube-controller-manager, which thereby shows that it works.
		return client.Get(ctx, "/api/v1/namespaces/default/serviceaccounts/default", nil)
	})
}

func (h *Harness) awaitAPIServer(ctx context.Context, server *state.APIServer) error {
	client, err := clientFor(server.Kubeconfig)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	return wait.Until(ctx, server.Name+" to be ready", pollReady, func(ctx context.Context) error {
		if !server.Process.Alive() {
			cancel(errors.New("it ended"))
		}
		return client.Get(ctx, "/readyz", nil)
	})
}

func clientFor(file string) (*apiclient.Client, error) {
	config, err := kubeconfig.Load(file)
	if err != nil {
		return nil, err
	}
	return apiclient.New(config)
}

// giveUp reports why the start failed and takes away what it made.
func (h *Harness) giveUp(ctx context.Context, reason error) error {
	if ctx.Err() != nil {
		return errors.Join(errors.New("interrupted"), h.takeDown(ctx))
	}
	files, err := filepath.Glob(h.path("*", "log"))
	if err != nil {
		return errors.Join(reason, err)
	}
	for _, file := range files {
		for _, line := range logs.Last(file, anyLine, linesShown) {
			h.say("%s: %s", filepath.Base(filepath.Dir(file)), line)
		}
	}
	return errors.Join(fmt.Errorf("start control plane: %w", reason), h.takeDown(ctx))
}
