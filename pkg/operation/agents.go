// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package operation

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

// Look looks at the files of all nodes.
func (o *Operation) Look(ctx context.Context) error {
	return o.WithAgents(ctx, func(*nodejob.Agents) error { return nil })
}

// Inspect is Look, and keeps the agents for the step that follows at once: to start them takes longer than what most
// steps ask of them. Dismiss ends that.
func (o *Operation) Inspect(ctx context.Context) (err error) {
	o.kept, err = o.start(ctx)
	return err
}

// Dismiss ends the agents that were kept, if there are any.
func (o *Operation) Dismiss(ctx context.Context) error {
	kept := o.kept
	if o.kept = nil; kept == nil {
		return nil
	}
	return kept.agents.Close(ctx)
}

// WithAgents runs an agent on every node, looks at every file, and does something in the same conversations. No
// agent does anything before all of them have answered. The agents that were kept do it, if they do the same work.
func (o *Operation) WithAgents(ctx context.Context, do func(*nodejob.Agents) error) (err error) {
	c, err := o.muster(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.agents.Close(ctx)) }()
	return do(c.agents)
}

// muster gathers agents that have all just looked at their files. Kept ones that can't be asked any more are replaced.
func (o *Operation) muster(ctx context.Context) (*crew, error) {
	if kept := o.kept; kept != nil {
		o.kept = nil
		files, err := inspectAll(ctx, kept.agents)
		if err == nil && reflect.DeepEqual(kept.specs, o.specs()) {
			o.Files = files
			return kept, nil
		}
		if err := kept.agents.Close(ctx); err != nil {
			return nil, err
		}
	}
	return o.start(ctx)
}

// start starts an agent on every node and has all of them look at their files.
func (o *Operation) start(ctx context.Context) (*crew, error) {
	specs := o.specs()
	agents, err := o.Runner.Start(ctx, specs)
	if err != nil {
		return nil, err
	}
	if o.Files, err = inspectAll(ctx, agents); err != nil {
		return nil, errors.Join(err, agents.Close(ctx))
	}
	return &crew{specs, agents}, nil
}

// Glance looks at the files of all nodes with agents that can write nowhere. It needs no lock; Drain is for the caller.
func (o *Operation) Glance(ctx context.Context) error {
	var specs []nodejob.Spec
	for _, in := range o.View.ControlPlane.Instances {
		file := o.FileOn(in)
		specs = append(specs, nodejob.Spec{
			Node: in.Node, Run: o.ID, Image: o.Image, ConfigDir: path.Dir(file), ConfigFile: path.Base(file), Reader: true,
		})
	}
	agents, err := o.Runner.Start(ctx, specs)
	if err != nil {
		return err
	}
	o.Files, err = inspectAll(ctx, agents)
	return errors.Join(err, agents.Close(ctx))
}

func (o *Operation) specs() (specs []nodejob.Spec) {
	for _, in := range o.View.ControlPlane.Instances {
		file := o.FileOn(in)
		specs = append(specs, nodejob.Spec{
			Node: in.Node, Run: o.ID, Image: o.Image, ConfigDir: path.Dir(file), ConfigFile: path.Base(file),
			NewDir: o.Manifests, Manifests: o.Manifests, ReadOnly: o.ReadOnly,
			Owner: o.lock.Owner(),
		})
	}
	return specs
}

func inspectAll(ctx context.Context, agents *nodejob.Agents) (map[string]agentapi.State, error) {
	return AskAll(ctx, agents, names(agents), func(string) agentapi.Request { return agentapi.Request{Op: agentapi.Inspect} })
}

func names(agents *nodejob.Agents) []string {
	var list []string
	for node := range agents.Sessions {
		list = append(list, node)
	}
	return list
}

// AskAll asks several agents at the same time and waits for all answers, also where one fails: whatever was begun on
// a node is then over.
func AskAll(ctx context.Context, agents *nodejob.Agents, nodes []string, request func(node string) agentapi.Request) (map[string]agentapi.State, error) {
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
