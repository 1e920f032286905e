// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/nodejob"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// errReplan is returned by a step that was not done, since the nodes have changed since it was planned.
var errReplan = errors.New("the nodes have changed meanwhile")

// decideAgain is asked before a node is changed: what the plan decided is decided again on what the agents see now. If
// that has changed, nothing is done, and the plan is asked again.
func (r *Run) decideAgain(ctx context.Context, step plan.Step) error {
	o, err := r.observed(ctx)
	if err != nil {
		return err
	}
	again, err := plan.Next(o, r.goal)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(again, step) {
		return errReplan
	}
	return r.recheck(ctx)
}

// push puts a new configuration onto nodes.
func (r *Run) push(ctx context.Context, step plan.Step) error {
	return r.withAgents(ctx, func(agents *nodejob.Agents) error {
		if err := r.decideAgain(ctx, step); err != nil {
			return err
		}
		proposed, err := r.propose(ctx, agents, step)
		if err != nil {
			return err
		}
		writes := proposed.Config.Writes(r.goal.Target)
		err = r.note(ctx, func(rec *ledger.Rotation) {
			rec.To = newest(rec.To, proposed.Config)
			rec.Used, rec.Sent = rec.Used || writes, proposed.Config.Digest
			rec.Migrations = lasting(rec.Migrations, r.files[step.Source].Config, &proposed.Config)
			if step.Change.Kind != encconfig.Remove {
				rec.SettleTime = nil // something may be written with another key from here on
			}
		})
		if err != nil {
			return err
		}
		r.mayWrite = r.mayWrite || writes
		return r.install(ctx, agents, step, proposed)
	})
}

// fileOn is where the configuration is on a node, or will be.
func (r *Run) fileOn(in controlplane.Instance) string {
	for _, known := range slices.Concat([]controlplane.Instance{in}, r.view.ControlPlane.Instances) {
		if known.Manifest.File != "" {
			return path.Join(known.Manifest.HostDir, known.Manifest.File)
		}
	}
	return path.Join(r.configDir(), project.ConfigFile)
}

// configDir is where the nodes have the configuration that have one, else where it was asked to be.
func (r *Run) configDir() string {
	for _, in := range r.view.ControlPlane.Instances {
		if in.Manifest.File != "" {
			return in.Manifest.HostDir
		}
	}
	if open := r.view.Ledger.Open(); r.Continue && open != nil && open.ConfigDir != "" {
		return open.ConfigDir
	}
	return cmp.Or(r.ConfigDir, project.DefaultConfigDir)
}

// lasting are the migrations that a change of the configuration does not touch: those of resources that are written
// with the same key before and after.
func lasting(all map[string]ledger.Migration, before, after *encconfig.Description) map[string]ledger.Migration {
	kept := map[string]ledger.Migration{}
	for name, m := range all {
		if before == nil {
			continue
		}
		was, is := before.RuleFor(name), after.RuleFor(name)
		if was != nil && is != nil && was.WriteKey().Is(is.WriteKey()) {
			kept[name] = m
		}
	}
	return kept
}

// newest is the key with the fingerprint that it has in a configuration.
func newest(k encconfig.Key, d encconfig.Description) encconfig.Key {
	for _, have := range d.Keys() {
		if have.Is(k) {
			return have
		}
	}
	return k
}

// propose has the source's agent make the new configuration, and checks that it says what the plan says.
func (r *Run) propose(ctx context.Context, agents *nodejob.Agents, step plan.Step) (*agentapi.Proposed, error) {
	proposal := &agentapi.Proposal{From: r.files[step.Source].Digest, Change: step.Change, Recipients: map[string][]byte{}}
	for _, node := range step.Targets {
		proposal.Recipients[node] = r.files[node].PublicKey
	}
	answer, err := agents.Sessions[step.Source].Ask(ctx, agentapi.Request{Op: agentapi.Propose, Propose: proposal})
	if err != nil {
		return nil, err
	}
	if answer.Proposed == nil {
		return nil, fmt.Errorf("node %s: the agent proposes nothing", step.Source)
	}
	if !answer.Proposed.Config.SameContent(withFingerprints(step.Result, answer.Proposed.Config)) {
		return nil, fmt.Errorf("node %s: the agent's configuration is not the planned one; nothing was written", step.Source)
	}
	return answer.Proposed, nil
}

// withFingerprints gives the plan's result the fingerprint of the key that was made meanwhile. All others must agree.
func withFingerprints(want, have encconfig.Description) encconfig.Description {
	for i := range want.Rules {
		for j, k := range want.Rules[i].Keys {
			if k.Fingerprint == "" && k.Provider.Local() {
				want.Rules[i].Keys[j] = newest(k, have)
			}
		}
	}
	return want
}

// install hands the sealed configuration to every target and checks what they then have.
func (r *Run) install(ctx context.Context, agents *nodejob.Agents, step plan.Step, proposed *agentapi.Proposed) error {
	r.pushed = true
	for _, node := range step.Targets {
		r.unproven[node] = true
	}
	before := r.files
	// An interruption waits for the answers: an installation that has begun is soon over, and what became of it is
	// better known than guessed.
	states, err := askAll(context.WithoutCancel(ctx), agents, step.Targets, func(node string) agentapi.Request {
		return agentapi.Request{Op: agentapi.Install, Install: &agentapi.Installation{
			From: before[node].Digest, To: proposed.Config.Digest, Sealed: proposed.Sealed[node],
		}}
	})
	maps.Copy(r.files, states)
	if err != nil {
		return err
	}
	for node, s := range states {
		if s.Digest != proposed.Config.Digest {
			return fmt.Errorf("node %s has another configuration than it was given", node)
		}
	}
	return nil
}
