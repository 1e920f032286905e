// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"fmt"
	"reflect"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/nodejob"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

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
		return operation.ErrReplan
	}
	return r.recheck(ctx)
}

// push puts a new configuration onto nodes.
func (r *Run) push(ctx context.Context, step plan.Step) error {
	return r.WithAgents(ctx, func(agents *nodejob.Agents) error {
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
			rec.Migrations = r.outlasting(rec.Migrations, step, &proposed.Config)
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

// outlasting are the migrations that a push does not touch. A target that is behind may have written with the key that it had, also
// after the baseline, and so may one whose file is lost.
func (r *Run) outlasting(all map[string]ledger.Migration, step plan.Step, after *encconfig.Description) map[string]ledger.Migration {
	kept := lasting(all, r.Files[step.Source].Config, after)
	for _, node := range step.Targets {
		kept = lasting(kept, r.Files[node].Config, after)
	}
	return kept
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
	proposal := &agentapi.Proposal{From: r.Files[step.Source].Digest, Change: step.Change, Recipients: map[string][]byte{}}
	for _, node := range step.Targets {
		proposal.Recipients[node] = r.Files[node].PublicKey
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

// install hands the sealed configuration to every target.
func (r *Run) install(ctx context.Context, agents *nodejob.Agents, step plan.Step, proposed *agentapi.Proposed) error {
	files := map[string]agentapi.Installation{}
	for _, node := range step.Targets {
		files[node] = agentapi.Installation{From: r.Files[node].Digest, To: proposed.Config.Digest, Sealed: proposed.Sealed[node]}
	}
	return r.Install(ctx, agents, files)
}
