// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

// await waits until every instance has proven the configuration of its own node, and puts it on record.
func (r *Run) await(ctx context.Context) error {
	if err := r.Await(ctx); err != nil {
		return err
	}
	return r.converged(ctx)
}

// converged puts the proven configuration on record, if all nodes have the same.
func (r *Run) converged(ctx context.Context) error {
	readers := r.Readers()
	if len(readers) == 0 || len(readers) < len(r.View.ControlPlane.Instances) && r.goal.Flags != plan.RemoveFlags {
		return nil
	}
	first := r.Files[readers[0].Node]
	for _, in := range readers {
		if r.Files[in.Node].Digest != first.Digest {
			return nil
		}
	}
	return r.note(ctx, func(rec *ledger.Rotation) {
		if rec.Config != nil && rec.Config.Digest != first.Digest {
			rec.Migrations = r.stillProven(*rec, *first.Config)
		}
		rec.Config = first.Config
	})
}

// stillProven are the migrations on record that hold under a configuration that came after the one on record: none, if
// it came by somebody else's hand, and not by a push of this run or of one that it goes on with. What a push does not touch was sorted
// out when it was sent.
func (r *Run) stillProven(rec ledger.Rotation, now encconfig.Description) map[string]ledger.Migration {
	if r.last.Kind != plan.Push && rec.Sent != now.Digest {
		return nil
	}
	return lasting(rec.Migrations, rec.Config, &now)
}

// note changes the run's record, if it has one yet.
func (r *Run) note(ctx context.Context, change func(*ledger.Rotation)) error {
	if r.record.ID == "" {
		return nil
	}
	change(&r.record)
	return r.Ledger().Update(ctx, func(l *ledger.Ledger) {
		rec := l.ByID(r.record.ID)
		if rec == nil { // the ledger was deleted meanwhile
			l.Begin(r.record)
			return
		}
		change(rec)
	})
}
