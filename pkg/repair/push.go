// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/agreement"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/nodejob"
)

// push has the files of a step made, and puts them on their nodes. A step that does not fit any more is planned
// again by the caller.
func (r *Run) push(ctx context.Context, step agreement.Step, silent []string) error {
	return r.WithAgents(ctx, func(agents *nodejob.Agents) error {
		if err := r.decideAgain(ctx, step, silent); err != nil {
			return err
		}
		composed, err := r.compose(ctx, agents, step)
		if err != nil {
			return err
		}
		if err := r.forgetProofs(ctx, step); err != nil {
			return err
		}
		return r.install(ctx, agents, step, composed)
	})
}

// compose has the base's agent make the files, and checks that they say what they shall.
func (r *Run) compose(ctx context.Context, agents *nodejob.Agents, step agreement.Step) (*agentapi.Composed, error) {
	exported, err := r.export(ctx, agents, step)
	if err != nil {
		return nil, err
	}
	c := &agentapi.Composition{Base: step.BaseDigest, Exported: exported}
	for _, t := range step.Targets {
		c.Wanted = append(c.Wanted, agentapi.Wanted{Node: t.Node, From: t.From, PublicKey: r.Files[t.Node].PublicKey, Rules: t.Want.Rules})
	}
	answer, err := agents.Sessions[step.Base].Ask(ctx, agentapi.Request{Op: agentapi.Compose, Compose: c})
	if err != nil {
		return nil, err
	}
	if answer.Composed == nil {
		return nil, fmt.Errorf("node %s: the agent composes nothing", step.Base)
	}
	for _, t := range step.Targets {
		made := answer.Composed.Configs[t.Node]
		if !made.SameContent(t.Want) || made.Digest == "" || t.Want.Digest != "" && made.Digest != t.Want.Digest || len(answer.Composed.Sealed[t.Node]) == 0 {
			return nil, fmt.Errorf("node %s: the agent's configuration for %s is not the agreed one; nothing was written", step.Base, t.Node)
		}
	}
	return answer.Composed, nil
}

// export has the keys that the base's node lacks sealed to its agent, by the nodes that have them.
func (r *Run) export(ctx context.Context, agents *nodejob.Agents, step agreement.Step) ([]agentapi.Exported, error) {
	wanted := map[string][]encconfig.Key{}
	for _, h := range step.Keys {
		wanted[h.Node] = append(wanted[h.Node], h.Key)
	}
	var list []agentapi.Exported
	for _, node := range slices.Sorted(maps.Keys(wanted)) {
		answer, err := agents.Sessions[node].Ask(ctx, agentapi.Request{Op: agentapi.Export, Export: &agentapi.Exporting{
			Keys: wanted[node], Recipient: step.Base, PublicKey: r.Files[step.Base].PublicKey,
		}})
		if err != nil {
			return nil, err
		}
		if answer.Exported == nil || answer.Exported.Node != node {
			return nil, fmt.Errorf("node %s: the agent hands out no keys", node)
		}
		list = append(list, *answer.Exported)
	}
	return list, nil
}

// install hands the sealed files to their nodes.
func (r *Run) install(ctx context.Context, agents *nodejob.Agents, step agreement.Step, composed *agentapi.Composed) error {
	files := map[string]agentapi.Installation{}
	for _, t := range step.Targets {
		files[t.Node] = agentapi.Installation{From: t.From, To: composed.Configs[t.Node].Digest, Sealed: composed.Sealed[t.Node]}
	}
	return r.Install(ctx, agents, files)
}
