// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package history asks every control-plane node which configurations it keeps, and sums the answers up.
//
// Reading changes nothing and takes no lock. Each node is asked by itself: what one can't tell does not keep the others from
// being told of, and is never taken for nothing.
package history

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"sync"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/nodejob"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/verify"
)

// Reader reads the histories of a cluster's control-plane nodes.
type Reader struct {
	Cluster *kube.Cluster
	// Image of the agent, JobTimeout how long it may take to start.
	Image      string
	JobTimeout time.Duration
	// Emit takes events.
	Emit event.Sink
}

// Answer is what one node told: State or Err.
type Answer struct {
	Node  string
	State *agentapi.State
	Err   error
}

const (
	// stage names the one step in events.
	stage = "read-history"
	// unchanged is what every error can say.
	unchanged = "nothing was changed"
)

// Read asks every node, all at the same time. The answers are in the order of the nodes' names.
func (r Reader) Read(ctx context.Context) ([]Answer, error) {
	answers, err := r.read(ctx)
	if ctx.Err() != nil {
		return nil, &hint.Error{Err: errors.New("interrupted"), Safe: unchanged, Exit: hint.ExitInterrupted}
	}
	return answers, hint.AtStage(err, "", unchanged)
}

func (r Reader) read(ctx context.Context) ([]Answer, error) {
	if err := r.Cluster.CheckAccess(ctx, verify.Permissions()); err != nil {
		return nil, err
	}
	cp, err := controlplane.Discover(ctx, r.Cluster.Typed)
	switch {
	case err != nil:
		return nil, err
	case cp.Foreign.Name != "":
		return nil, hint.Errorf("use its own command: "+cp.Foreign.Command,
			"this control plane is run by %s, which keeps its encryption configuration itself", cp.Foreign.Name)
	case len(cp.Instances) == 0:
		return nil, hint.Errorf("this tool works on control planes whose kube-apiservers are static pods, as kubeadm makes them",
			"no control-plane node was found (label node-role.kubernetes.io/control-plane)")
	}
	id := make([]byte, 4)
	if _, err := rand.Read(id); err != nil {
		return nil, fmt.Errorf("draw the run's name: %w", err)
	}
	run := hex.EncodeToString(id)
	runner := &nodejob.Runner{Config: r.Cluster.Config, Client: r.Cluster.Typed, StartTimeout: r.JobTimeout}
	text, started := fmt.Sprintf("ask %d control-plane node(s) what they keep", len(cp.Instances)), time.Now()
	r.Emit(event.StepStarted{Number: 1, Total: 1, Stage: stage, Text: text})
	answers := r.askAll(ctx, runner, run, cp.Instances)
	if err := runner.Drain(ctx, run); err != nil && ctx.Err() == nil {
		r.Emit(event.Warning{Text: "the agents' Jobs end by themselves, but are not gone yet: " + hint.OneLine(err.Error())})
	}
	r.Emit(event.StepDone{Number: 1, Total: 1, Stage: stage, Text: text, Elapsed: time.Since(started)})
	return answers, nil
}

func (r Reader) askAll(ctx context.Context, runner *nodejob.Runner, run string, instances []controlplane.Instance) []Answer {
	answers := make([]Answer, len(instances))
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for i, in := range instances {
		wg.Go(func() {
			state, err := ask(ctx, runner, spec(in, run, r.Image))
			answers[i] = Answer{Node: in.Node, State: state, Err: err}
			mu.Lock()
			defer mu.Unlock()
			done++
			r.Emit(event.StepProgress{Stage: stage, Done: done, Total: len(instances), Unit: "nodes", Detail: in.Node})
		})
	}
	wg.Wait()
	return answers
}

// spec is an agent that has nothing to write to.
func spec(in controlplane.Instance, run, image string) nodejob.Spec {
	s := nodejob.Spec{Node: in.Node, Run: run, Image: image, ConfigFile: project.ConfigFile, Reader: true}
	if in.Manifest.File != "" {
		file := path.Join(in.Manifest.HostDir, in.Manifest.File)
		s.ConfigDir, s.ConfigFile = path.Dir(file), path.Base(file)
	}
	return s
}

// ask runs an agent on one node and has it look. What goes wrong when it has answered is no matter: Drain looks after it.
func ask(ctx context.Context, runner *nodejob.Runner, s nodejob.Spec) (*agentapi.State, error) {
	agents, err := runner.Start(ctx, []nodejob.Spec{s})
	if err != nil {
		return nil, err
	}
	defer func() { _ = agents.Close(ctx) }()
	answer, err := agents.Sessions[s.Node].Ask(ctx, agentapi.Request{Op: agentapi.Inspect})
	switch {
	case err != nil:
		return nil, err
	case answer.State == nil:
		return nil, errors.New("the agent's answer tells nothing of the node")
	}
	return answer.State, nil
}
