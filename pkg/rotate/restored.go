// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
)

// noteRestored takes back what is on record of the data where a revision was put in place by hand since it was last looked at:
// an older one has written with an older key, and after the newer one was put back the digest is that of the record again.
func (r *Run) noteRestored(ctx context.Context) error {
	newest := restored(r.Files)
	book, _, err := r.Ledger().Load(ctx)
	if err != nil || !book.NoteRestored(newest) {
		return err
	}
	now, err := r.Cluster.Now(ctx)
	if err != nil {
		return err
	}
	if err := r.Ledger().Update(ctx, func(l *ledger.Ledger) { noteRestored(l, newest, now) }); err != nil {
		return err
	}
	r.Emit(event.Notice{Text: fmt.Sprintf("a configuration was restored by hand on %s: what was on record of the data proves nothing any more, "+
		"and everything is asked about anew by the next migration", strings.Join(slices.Sorted(maps.Keys(newest)), ", "))})
	return nil
}

// noteRestored changes a ledger, which may have come to know of it meanwhile.
func noteRestored(l *ledger.Ledger, newest map[string]int, now time.Time) {
	if l.NoteRestored(newest) {
		l.Distrust(now)
	}
}

// restored is, by node, the newest revision of its history that was put in place by hand.
func restored(files map[string]agentapi.State) map[string]int {
	newest := map[string]int{}
	for node, state := range files {
		for _, revision := range state.History {
			if revision.Run == agentapi.RestoreRun {
				newest[node] = max(newest[node], revision.Number)
			}
		}
	}
	return newest
}
