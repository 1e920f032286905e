// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/reload"
)

// observed puts together what the plan looks at. After a push nothing counts as loaded before it was awaited, so that
// each push is followed by its proof, on record, however fast the instances were.
func (r *Run) observed(ctx context.Context) (plan.Observed, error) {
	evidence, failed := r.Observer.Instances(ctx, r.View.ControlPlane)
	r.View.Evidence, r.View.Errors = evidence, failed
	o := plan.Observed{Counted: r.counted.planned(), LeftOut: len(r.View.LeftOut) > 0}
	for _, in := range r.View.ControlPlane.Instances {
		file := r.Files[in.Node]
		n := plan.Node{
			Name: in.Node, Config: file.Config, History: operation.Configs(file.History), HighestWritten: file.HighestWritten,
			Flags: flagsOf(in.Manifest), Edited: edited(in, file),
		}
		if file.Problem != nil {
			n.Problem, n.Missing = file.Problem.Message, file.Problem.Code == agentapi.Missing
		}
		if e, ok := evidence[in.Node]; ok && !r.Unproven[in.Node] && e.Proves(file.Digest, file.ModTime).Loaded {
			n.Loaded = file.Digest
		}
		o.Nodes = append(o.Nodes, n)
	}
	stale, err := r.kubeadmStale(ctx)
	if err != nil {
		return o, err
	}
	o.KubeadmStale = stale
	book, _, err := r.Ledger().Load(ctx)
	if err != nil {
		return o, err
	}
	if rec := book.ByID(r.record.ID); rec != nil {
		o.Progress.Closed = rec.CompletionTime != nil
	}
	agreed := o.Readers().Agreed()
	if agreed == nil {
		agreed = o.Agreed()
	}
	if agreed == nil {
		o.Progress.Used = r.used(book)
		return o, nil
	}
	now, err := r.Cluster.Now(ctx)
	if err != nil {
		return o, err
	}
	r.progress(&o, book, *agreed, now)
	return o, nil
}

// progress fills in what is on record about the goal's key.
func (r *Run) progress(o *plan.Observed, book *ledger.Ledger, agreed encconfig.Description, now time.Time) {
	names := migrator.Names(r.encrypted(agreed))
	if age, known := r.pruneAge(agreed); known {
		o.Unneeded = book.Unneeded(agreed, names, now, age)
	}
	o.Progress.Used = r.used(book)
	rec := book.Trusted(r.goal.Target, agreed.Digest)
	if rec == nil || rec.ID != r.record.ID {
		rec = nil
	}
	p := r.followed(rec, agreed)
	// What has ended was proven then, also if its record proves nothing to those that come later.
	o.Progress.Settled, o.Progress.Migrated = p.Settled || o.Progress.Closed, p.Migrated || o.Progress.Closed
	o.Aged = rec != nil && p.Migrated && r.aged(rec, agreed, now)
}

// compactions is how many intervals of compaction a superseded revision is waited for.
const compactions = 2

// pruneAge is how long after a migration something may still need the key that it migrated from: superseded revisions
// until they are compacted, and events, which are not migrated, until they expire. False if kube-apiserver does not
// compact: then nothing tells.
func (r *Run) pruneAge(d encconfig.Description) (time.Duration, bool) {
	interval, known := r.View.ControlPlane.CompactionInterval()
	age := compactions * interval
	if d.RuleFor("events") != nil || d.RuleFor("events.events.k8s.io") != nil {
		age = max(age, r.View.EventTTL())
	}
	return age, known
}

// used tells whether something may be stored with the goal's key: by any record of it, or by what an instance has
// counted since it started.
func (r *Run) used(book *ledger.Ledger) bool {
	for _, rec := range book.Rotations {
		if rec.Used && rec.To.Is(r.goal.Target) {
			return true
		}
	}
	for _, e := range r.View.Evidence {
		for _, writes := range e.Writes {
			if r.goal.Target.Provider.Local() && writes[reload.KeyPrefix(r.goal.Target.Name+":")] > 0 {
				return true
			}
		}
	}
	return false
}
