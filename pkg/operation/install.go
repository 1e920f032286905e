// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/nodejob"
)

// Install hands sealed files to their nodes, each in place of the one that was seen there, and checks what the nodes then have.
// No node is changed if any of them would not take its file: a folder that is read-only, or full.
func (o *Operation) Install(ctx context.Context, agents *nodejob.Agents, files map[string]agentapi.Installation) error {
	nodes := slices.Sorted(maps.Keys(files))
	if _, err := AskAll(ctx, agents, nodes, func(string) agentapi.Request { return agentapi.Request{Op: agentapi.Probe} }); err != nil {
		return err
	}
	o.Pushed = true
	for node := range files {
		o.Unproven[node] = true
	}
	// An interruption waits for the answers: an installation that has begun is soon over, and what became of it is
	// better known than guessed.
	states, err := AskAll(context.WithoutCancel(ctx), agents, nodes, func(node string) agentapi.Request {
		return agentapi.Request{Op: agentapi.Install, Install: new(files[node])}
	})
	maps.Copy(o.Files, states)
	if err != nil {
		return err
	}
	for node, s := range states {
		if s.Digest != files[node].To {
			return fmt.Errorf("node %s has another configuration than it was given", node)
		}
	}
	return nil
}
