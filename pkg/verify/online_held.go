// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/nodejob"
)

// missing tells whether values name keys that the configuration lacks for them.
func missing(c census.Census) bool {
	return slices.ContainsFunc(c.Tallies, func(t census.Tally) bool {
		return slices.ContainsFunc(t.Groups, func(g census.Group) bool { return g.State == census.Missing })
	})
}

// askNodes asks every node what it has, where that matters: where values name keys that the configuration lacks, and where a
// kube-apiserver does not tell what it has loaded. What can't be found out is a note or a doubt, no error.
func (v *visit) askNodes(ctx context.Context, result *Result) error {
	wanted, silent := missing(result.Census), len(untold(v.view)) > 0
	if !wanted && !silent {
		return nil
	}
	text, stage := "ask every node which keys it holds", stageHeld
	if !wanted {
		text, stage = "compare the files of all nodes, since not every kube-apiserver tells what it has loaded", stageCompare
	}
	v.total++
	var states map[string]*agentapi.State
	failed := v.step(text, stage, func() (err error) {
		states, err = v.inspect(ctx, stage)
		return err
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	result.Doubts = append(result.Doubts, notProven(v.view, states, failed, v.node, result.Config)...)
	if wanted {
		var err error
		if result.Held, err = heldBy(states, failed); err != nil {
			result.Notes = append(result.Notes, "which keys the nodes hold could not be found out: "+err.Error())
		}
	}
	return nil
}

// inspect asks an agent on every node what is there.
func (v *visit) inspect(ctx context.Context, stage string) (map[string]*agentapi.State, error) {
	var specs []nodejob.Spec
	for _, in := range v.view.ControlPlane.Instances {
		specs = append(specs, v.reader(in))
	}
	agents, err := v.runner.Start(ctx, specs)
	if err != nil {
		return nil, err
	}
	defer func() { v.lament(agents.Close(ctx)) }()
	states := map[string]*agentapi.State{}
	for i, node := range slices.Sorted(maps.Keys(agents.Sessions)) {
		answer, err := agents.Sessions[node].Ask(ctx, agentapi.Request{Op: agentapi.Inspect})
		if err != nil {
			return nil, err
		}
		states[node] = answer.State
		v.Emit(event.StepProgress{Stage: stage, Done: i + 1, Total: len(specs), Unit: "nodes", Detail: node})
	}
	return states, nil
}

// heldBy are the keys that any node has in its file or its history. It is an error if one node can't tell all.
func heldBy(states map[string]*agentapi.State, failed error) ([]encconfig.Key, error) {
	if failed != nil {
		return nil, failed
	}
	keys := []encconfig.Key{}
	for _, node := range slices.Sorted(maps.Keys(states)) {
		its, err := keysOn(states[node])
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", node, err)
		}
		keys = union(keys, its)
	}
	return keys, nil
}

// keysOn are the keys of a node's file and of its history.
func keysOn(s *agentapi.State) ([]encconfig.Key, error) {
	if s == nil {
		return nil, errors.New("the agent's answer tells nothing of the node")
	}
	switch {
	case s.Problem != nil: // also that there is no file: what it was before may be anywhere
		return nil, s.Problem
	case s.HistoryDamaged:
		return nil, errors.New("its history can't be read")
	}
	var keys []encconfig.Key
	if s.Config != nil {
		keys = s.Config.Keys()
	}
	for _, r := range s.History {
		if r.Config.Rules == nil {
			return nil, fmt.Errorf("revision %d of its history is not understood", r.Number)
		}
		keys = union(keys, r.Config.Keys())
	}
	return keys, nil
}

func union(keys, more []encconfig.Key) []encconfig.Key {
	for _, k := range more {
		if !slices.ContainsFunc(keys, k.Is) {
			keys = append(keys, k)
		}
	}
	return keys
}
