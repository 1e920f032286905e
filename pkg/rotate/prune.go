// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/nodejob"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

// The stages of a prune besides those of a plan.
const (
	stageProve  = "prove"
	stageForget = "forget"
)

// prune proves which keys nothing needs, and opens the record of their removal, or goes on with the one on record. done is true
// if there is nothing to take out of the configuration.
func (r *Run) prune(ctx context.Context, o plan.Observed, book *ledger.Ledger) (done bool, err error) {
	open := book.Open()
	owed := book.Forgetting()
	r.Forget = r.Forget || r.Continue && owed != nil // it was agreed to by name
	switch {
	case r.Continue && open == nil && owed != nil:
		r.record, r.dropped = *owed, owed.Pruned
		return true, nil
	case r.Continue && open == nil:
		r.Emit(event.Notice{Text: "no prune is under way: there is nothing to resume"})
		return true, nil
	case open != nil && (!r.Continue || open.Command != string(Prune)):
		return false, underWay(*open)
	case open != nil && !anewToProve(o, *open):
		r.goal, r.dropped = plan.Goal{Drop: open.Pruned}, open.Pruned
		return false, r.takeUp(ctx, *open)
	}
	if err := r.agreedAndLoaded(o); err != nil {
		return false, err
	}
	if err := notPending(o); err != nil {
		return false, err
	}
	if err := r.Dismiss(ctx); err != nil {
		return false, err
	}
	agreed := *o.Agreed()
	if open != nil {
		if err := r.proveAnew(ctx, agreed, *open); err != nil {
			return false, err
		}
	}
	list, err := r.proven(ctx, agreed, book)
	if err != nil || len(list) == 0 {
		return true, err
	}
	r.dropped, r.goal = list, plan.Goal{Drop: list}
	if !slices.ContainsFunc(list, agreed.Has) {
		return true, nil // histories alone have them
	}
	return false, r.openPrune(ctx, agreed, list)
}

// openPrune writes the record of a removal. What is proven of the data stays proven: no write key changes.
func (r *Run) openPrune(ctx context.Context, agreed encconfig.Description, list []encconfig.Key) error {
	now, err := r.Cluster.Now(ctx)
	if err != nil {
		return err
	}
	to := identity()
	if writes := agreed.WriteKeys(); len(writes) > 0 {
		to = writes[0]
	}
	r.record = ledger.Rotation{
		ID: r.ID, By: r.By, Command: string(Prune), From: agreed.WriteKeys(), To: to, Stage: "plan",
		StartTime: now, StartDigest: agreed.Digest, Pruned: list, Forget: r.Forget,
	}
	return r.Ledger().Update(ctx, func(l *ledger.Ledger) {
		record := r.record
		inherit(&record, l.Trusted(to, agreed.Digest), agreed)
		l.HighestKey = max(l.HighestKey, keys.Number(to.Name))
		l.Begin(record)
		r.record = record
	})
}

// forget has every node remove keys from its history that are in no configuration any more.
func (r *Run) forget(ctx context.Context) error {
	if !r.Forget || len(r.dropped) == 0 {
		return nil
	}
	text := fmt.Sprintf("remove every revision that holds %s from the history of each node", encconfig.KeyNames(r.dropped))
	err := r.Step(operation.Step{Stage: stageForget, Text: text}, func() (string, error) { return "", r.destroy(ctx) })
	if err == nil {
		err = r.note(ctx, func(rec *ledger.Rotation) { rec.Forget = false })
	}
	if err != nil {
		return hint.AtStage(err, stageForget, "safe to stop here: the keys have left the configuration, and some nodes still have them in their history",
			"when that is mended, run the same command again")
	}
	r.forgot = true
	return nil
}

// destroy removes the keys that were dropped from the histories of the nodes that have them.
func (r *Run) destroy(ctx context.Context) error {
	return r.WithAgents(ctx, func(agents *nodejob.Agents) error {
		var nodes []string
		lists := map[string][]encconfig.Key{}
		for node, f := range r.Files {
			all := slices.DeleteFunc(inHistories(map[string]agentapi.State{node: f}), func(k encconfig.Key) bool { return !slices.ContainsFunc(r.dropped, k.Is) })
			if lists[node] = all; len(all) > 0 {
				nodes = append(nodes, node)
			}
		}
		before := maps.Clone(r.Files)
		_, err := operation.AskAll(context.WithoutCancel(ctx), agents, nodes, func(node string) agentapi.Request {
			return agentapi.Request{Op: agentapi.Forget, Forget: &agentapi.Forgetting{From: before[node].Digest, Keys: lists[node]}}
		})
		return err
	})
}

// inHistories are the keys that nodes have in their histories, with their fingerprints.
func inHistories(files map[string]agentapi.State) (list []encconfig.Key) {
	for _, node := range slices.Sorted(maps.Keys(files)) {
		for _, rev := range files[node].History {
			for _, k := range rev.Config.Keys() {
				if !slices.Contains(list, k) {
					list = append(list, k)
				}
			}
		}
	}
	return list
}

// pruned says what a prune has done.
func (r *Run) pruned() string {
	if len(r.dropped) == 0 {
		return "nothing was taken out"
	}
	if r.usage == nil {
		return encconfig.KeyNames(r.dropped) + " left the configuration of every node; it stays in each node's history, for backups of etcd from before"
	}
	text := fmt.Sprintf("%s left the configuration of every node: none of %s values in etcd is stored with it (revision %d)",
		encconfig.KeyNames(r.dropped), census.Number(r.usage.Verification.Objects), r.usage.Verification.Revision)
	if r.forgot {
		return text + ", and every node's history"
	}
	return text + "; it stays in each node's history, for backups of etcd from before"
}
