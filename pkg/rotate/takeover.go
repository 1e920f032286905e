// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"fmt"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

// Where a kube-apiserver has lost its flags, as by an upgrade with a kubeadm-config of before, nothing that is under way can go
// on before they are back, and enable alone gives them back. So enable does not wait for it: a rotation it carries to its end
// itself, under its own name, and anything else it ends.

// takesOver tells whether the run is an enable that does so. open is what has not ended, nil if nothing is on record.
func (r *Run) takesOver(o plan.Observed, open *ledger.Rotation) bool {
	if r.Mode != Enable || open != nil && (open.Command == string(Enable) || open.RemoveFlags) {
		return false
	}
	_, pending := plan.Pending(o.Nodes)
	return (open != nil || pending) && slices.ContainsFunc(o.Nodes, func(n plan.Node) bool { return n.Flags != plan.FlagsSet })
}

// carried tells whether what is under way is a rotation that can be carried on: the nodes have not left it behind.
func carried(o plan.Observed, open *ledger.Rotation) bool {
	return open != nil && open.Command == "" && !plan.Overtaken(o.Nodes, open.To)
}

// taken is the goal with the key of the rotation that is taken over.
func taken(g plan.Goal, o plan.Observed, open *ledger.Rotation) plan.Goal {
	if k, pending := plan.Pending(o.Nodes); pending {
		g.Target = k
	} else if carried(o, open) {
		g.Target = encconfig.Key{Provider: open.To.Provider, Name: open.To.Name}
	}
	return g
}

// overtaken says what becomes of what is under way.
func overtaken(o plan.Observed, open *ledger.Rotation) string {
	switch {
	case open == nil:
		return "a rotation whose key waits to become the write key is carried on by this, since flags are missing"
	case carried(o, open):
		return fmt.Sprintf("the rotation to key %s that began %s is carried on by this, since flags are missing", open.To, since(*open))
	case open.Command == "":
		return fmt.Sprintf("the rotation to key %s that began %s was left behind by a newer key, and ends with this", open.To, since(*open))
	}
	return fmt.Sprintf("the %s that began %s can't go on while flags are missing, and ends with this; run it again later", open.Command, since(*open))
}

// takeOver opens the record of a run that takes over what is under way.
func (r *Run) takeOver(ctx context.Context, o plan.Observed, book *ledger.Ledger) (done bool, err error) {
	open := book.Open()
	r.Emit(event.Notice{Text: overtaken(o, open)})
	if open == nil {
		return false, r.open(ctx, o)
	}
	if !carried(o, open) {
		if err := r.supersede(ctx, *open); err != nil {
			return false, err
		}
		return false, r.open(ctx, o)
	}
	mine := *open
	mine.Command, mine.Resources, mine.ConfigDir = string(Enable), r.goal.Resources, r.Dir()
	if err := r.Ledger().Update(ctx, func(l *ledger.Ledger) { l.Begin(mine) }); err != nil {
		return false, err
	}
	return r.reopen(ctx, o, book, mine)
}
