// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
)

// leftOut are the names of the nodes that the run goes on without.
func (r *Run) leftOut() (names []string) {
	if r.View == nil {
		return nil
	}
	for _, one := range r.View.LeftOut {
		names = append(names, one.Node)
	}
	return names
}

// warnOfLeftOut says of each node that is left out what is known of it, and what it needs when it comes back.
func (r *Run) warnOfLeftOut() (list []string) {
	for _, name := range r.Ignore {
		at := slices.IndexFunc(r.View.LeftOut, func(l controlplane.LeftOut) bool { return l.Node == name })
		if at < 0 {
			list = append(list, "there is no control-plane node "+name+": nothing is left out for it")
			continue
		}
		list = append(list, r.leftOutText(r.View.LeftOut[at]))
	}
	return list
}

func (r *Run) leftOutText(l controlplane.LeftOut) string {
	seen := "its Node object is gone"
	if !l.Gone {
		seen = fmt.Sprintf("its kubelet has been silent for %s", l.SilentFor.Round(time.Second))
	}
	return fmt.Sprintf("node %s is left out: %s, and its kube-apiserver does not serve. It keeps the file that it has, with which it may "+
		"not be able to read what is written with the new key. %s No key is pruned while a node is left out", l.Node, seen,
		controlplane.ReturnOf(l.Node, r.Mode == Enable))
}

// tellLeftOut reminds of the nodes that are not as the others when the run is over.
func (r *Run) tellLeftOut() {
	for _, name := range r.leftOut() {
		r.Emit(event.Warning{Text: fmt.Sprintf("node %s was left out. %s", name, controlplane.ReturnOf(name, r.Mode == Enable))})
	}
}

// noteLeftOut puts on record which nodes the run goes on without. What was proven without others is proven again.
func (r *Run) noteLeftOut(ctx context.Context) error {
	names := r.leftOut()
	if slices.Equal(names, r.record.LeftOut) {
		return nil
	}
	return r.note(ctx, func(rec *ledger.Rotation) {
		if !within(rec.LeftOut, names) {
			rec.Migrations, rec.SettleTime = nil, nil
		}
		rec.LeftOut = names
	})
}

// within tells whether all of some are among others.
func within(some, others []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(others, s) })
}

// butLeftOut makes "every kube-apiserver" true where nodes are left out.
func (r *Run) butLeftOut() string {
	if names := r.leftOut(); len(names) > 0 {
		return " but the left out one on " + strings.Join(names, ", ")
	}
	return ""
}

// ignoring is what a command that goes on has to be told again.
func (r *Run) ignoring() string {
	if len(r.Ignore) == 0 {
		return ""
	}
	return " --ignore-node " + strings.Join(r.Ignore, ",")
}
