// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"errors"
	"fmt"
	"path"
	"reflect"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/nodejob"
)

// crew is an agent on every node.
type crew struct {
	specs  []nodejob.Spec
	agents *nodejob.Agents
}

// look looks at the files of all nodes.
func (r *Run) look(ctx context.Context) error {
	return r.withAgents(ctx, func(*nodejob.Agents) error { return nil })
}

// inspect is look, and keeps the agents for the step that follows at once: to start them takes longer than what most
// steps ask of them. dismiss ends that.
func (r *Run) inspect(ctx context.Context) (err error) {
	r.kept, err = r.start(ctx)
	return err
}

// dismiss ends the agents that were kept, if there are any.
func (r *Run) dismiss(ctx context.Context) error {
	kept := r.kept
	if r.kept = nil; kept == nil {
		return nil
	}
	return kept.agents.Close(ctx)
}

// withAgents runs an agent on every node, looks at every file, and does something in the same conversations. No
// agent does anything before all of them have answered. The agents that were kept do it, if they do the same work.
func (r *Run) withAgents(ctx context.Context, do func(*nodejob.Agents) error) (err error) {
	c, err := r.muster(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.agents.Close(ctx)) }()
	return do(c.agents)
}

// muster gathers agents that have all just looked at their files. Kept ones that can't be asked any more are replaced.
func (r *Run) muster(ctx context.Context) (*crew, error) {
	if kept := r.kept; kept != nil {
		r.kept = nil
		files, err := inspectAll(ctx, kept.agents)
		if err == nil && reflect.DeepEqual(kept.specs, r.specs()) {
			r.files = files
			return kept, nil
		}
		if err := kept.agents.Close(ctx); err != nil {
			return nil, err
		}
	}
	return r.start(ctx)
}

// start starts an agent on every node and has all of them look at their files.
func (r *Run) start(ctx context.Context) (*crew, error) {
	specs := r.specs()
	agents, err := r.runner.Start(ctx, specs)
	if err != nil {
		return nil, err
	}
	if r.files, err = inspectAll(ctx, agents); err != nil {
		return nil, errors.Join(err, agents.Close(ctx))
	}
	return &crew{specs, agents}, nil
}

func (r *Run) specs() (specs []nodejob.Spec) {
	for _, in := range r.view.ControlPlane.Instances {
		file := r.fileOn(in)
		specs = append(specs, nodejob.Spec{
			Node: in.Node, Run: r.id, Image: r.Image, ConfigDir: path.Dir(file), ConfigFile: path.Base(file),
			NewDir: r.changesFlags(), Manifests: r.changesFlags(), ReadOnly: r.Mode == Join || r.Mode == MigrateOnly,
			Owner: r.lock.Owner(),
		})
	}
	return specs
}

func inspectAll(ctx context.Context, agents *nodejob.Agents) (map[string]agentapi.State, error) {
	return askAll(ctx, agents, names(agents), func(string) agentapi.Request { return agentapi.Request{Op: agentapi.Inspect} })
}

func names(agents *nodejob.Agents) []string {
	var list []string
	for node := range agents.Sessions {
		list = append(list, node)
	}
	return list
}

// askAll asks several agents at the same time and waits for all answers, also where one fails: whatever was begun on
// a node is then over.
func askAll(ctx context.Context, agents *nodejob.Agents, nodes []string, request func(node string) agentapi.Request) (map[string]agentapi.State, error) {
	states := map[string]agentapi.State{}
	var mu sync.Mutex
	var g errgroup.Group
	for _, node := range nodes {
		session, ok := agents.Sessions[node]
		if !ok {
			return nil, fmt.Errorf("no agent runs on node %s", node)
		}
		g.Go(func() error {
			answer, err := session.Ask(ctx, request(node))
			if err != nil {
				return err
			}
			if answer.State == nil {
				return fmt.Errorf("node %s: the agent's answer tells nothing of the node", node)
			}
			mu.Lock()
			defer mu.Unlock()
			states[node] = *answer.State
			return nil
		})
	}
	err := g.Wait()
	return states, err
}
