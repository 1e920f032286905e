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

// held are the keys that any node has in its file or its history. It is an error if one node can't tell all.
func (v *visit) held(ctx context.Context) ([]encconfig.Key, error) {
	var specs []nodejob.Spec
	for _, in := range v.view.ControlPlane.Instances {
		specs = append(specs, v.reader(in))
	}
	agents, err := v.runner.Start(ctx, specs)
	if err != nil {
		return nil, err
	}
	defer func() { v.lament(agents.Close(ctx)) }()
	keys := []encconfig.Key{}
	for i, node := range slices.Sorted(maps.Keys(agents.Sessions)) {
		answer, err := agents.Sessions[node].Ask(ctx, agentapi.Request{Op: agentapi.Inspect})
		if err != nil {
			return nil, err
		}
		its, err := keysOn(answer.State)
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", node, err)
		}
		keys = union(keys, its)
		v.Emit(event.StepProgress{Stage: stageHeld, Done: i + 1, Total: len(specs), Unit: "nodes", Detail: node})
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
