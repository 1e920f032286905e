// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"slices"
	"time"
)

// Distrust makes no record one that can be relied on: a kube-apiserver has had another configuration, or may have, and may have
// written with another key, also after everything was migrated. A prune that is under way ends: going on with it counts no more,
// and a kube-apiserver may have written with what it was to take out. Now is the API server's time.
func (l *Ledger) Distrust(now time.Time) {
	l.DistrustTime = &now
	l.Whole = nil // a value may have come and gone since, and its superseded revisions are younger than that count
	for i := range l.Rotations {
		rec := &l.Rotations[i]
		rec.Forget = false // what was proven of these keys is not any more
		if rec.Config = nil; rec.CompletionTime != nil {
			continue
		}
		if rec.Migrations, rec.SettleTime = nil, nil; rec.Command == CommandPrune {
			rec.CompletionTime, rec.Aborted = &now, true
		}
	}
}

// Distrusted tells whether the record was distrusted and not all of the resources were migrated since: some objects may be stored with
// another key.
func (l *Ledger) Distrusted(resources []string) bool {
	return l.DistrustTime != nil && !slices.ContainsFunc(l.Rotations, func(r Rotation) bool {
		return !r.Aborted && r.Migrated(resources) && r.firstMigratedAt().After(*l.DistrustTime)
	})
}
