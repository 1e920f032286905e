// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

// Preflight checks that the run can be made, without changing anything: permissions, then the control plane. A run
// that goes on with an edit of a manifest waits for the kube-apiserver that the edit has restarted.
func (r *Run) Preflight(ctx context.Context) error {
	deadline := time.Now().Add(r.RollbackAfter + guardMargin)
	var told string
	for {
		err := r.preflight(ctx)
		if err == nil || !r.editMayBeUnderWay(err) || time.Now().After(deadline) {
			return err
		}
		if text := cause(err); text != told {
			told = text
			r.Emit(event.Notice{Text: "waiting for a kube-apiserver whose manifest was edited: " + text})
		}
		if err := operation.Sleep(ctx, operation.PollInterval); err != nil {
			return err
		}
	}
}

// editMayBeUnderWay tells whether it may be due to an earlier edit that the control plane is not in order, for a run
// that goes on with one.
func (r *Run) editMayBeUnderWay(err error) bool {
	if !r.Continue || !r.changesFlags() {
		return false
	}
	if r.View == nil { // to ask what one may do is forbidden to nobody but by a kube-apiserver that has only just started
		return kube.Passing(err) || apierrors.IsForbidden(err)
	}
	open := r.View.Ledger.Open()
	editing := open != nil && (open.Stage == string(plan.EditManifest) || open.Stage == string(plan.AwaitEdit))
	return editing && (len(r.View.ControlPlane.Disagreements) > 0 || len(r.View.Errors) > 0 || kube.Passing(err))
}

func (r *Run) preflight(ctx context.Context) error {
	if err := r.Cluster.CheckAccess(ctx, r.permissions()); err != nil {
		return err
	}
	view, err := r.Observer.Look(ctx)
	if err != nil {
		return hint.AtStage(err, "", "nothing was changed")
	}
	r.View, r.NewDir = view, r.newDir(view)
	if err := r.usable(view); err != nil {
		return err
	}
	if err := r.checkResources(ctx); err != nil {
		return hint.AtStage(err, "", "nothing was changed")
	}
	if r.Mode == Abort || r.Mode == Prune {
		return nil // it migrates nothing
	}
	if err := r.Cluster.CheckBulk(ctx); err != nil {
		return err
	}
	if err := r.migrator.CheckEngine(ctx); err != nil {
		return err
	}
	// What is in the files is only known when agents have looked; but a missing right is better told now, if the record
	// knows what will be migrated.
	if o, known := r.expected(); known && (r.Mode == Begin || r.Mode == Resume || r.Mode == Rollback) {
		return r.checkMigration(ctx, *o.Nodes[0].Config)
	}
	return nil
}

// recheck looks at the control plane again before something depends on its being what it was: every kube-apiserver
// there is must be one that this run knows, ready, and of one version.
func (r *Run) recheck(ctx context.Context) error {
	view, err := r.Observer.Look(ctx)
	if err != nil {
		return err
	}
	if view.NotLeftOut != nil {
		r.Ignore = nil // whoever goes on does so with the node
		return hint.Midway(r.usable(view))
	}
	if before, now := r.View.ControlPlane.Names(), view.ControlPlane.Names(); !slices.Equal(before, now) {
		return fmt.Errorf("the control plane has changed: its nodes were %s and are %s", strings.Join(before, ", "), strings.Join(now, ", "))
	}
	if err := r.usable(view); err != nil {
		return hint.Midway(err)
	}
	r.View = view
	return nil
}

// usable refuses control planes on which the run can't do its work.
func (r *Run) usable(view *observe.View) error {
	if !r.changesFlags() {
		return view.Usable()
	}
	if err := view.Known(); err != nil {
		return err
	}
	return r.checkPlace(view)
}

// checkPlace refuses a folder that was asked for where the configuration is in another one already.
func (r *Run) checkPlace(view *observe.View) error {
	for _, in := range view.ControlPlane.Instances {
		if dir := in.Manifest.HostDir; r.ConfigDir != "" && dir != "" && dir != r.ConfigDir {
			return hint.Errorf("leave --config-dir out; a file that is in use is not moved",
				"the configuration of node %s is in %s, not in %s", in.Node, dir, r.ConfigDir)
		}
	}
	return nil
}

// newDir is where nodes without a configuration get it: where an enable that is gone on with has begun to put it, else where
// it was asked to be.
func (r *Run) newDir(view *observe.View) string {
	if open := view.Ledger.Open(); r.Continue && open != nil && open.ConfigDir != "" {
		return open.ConfigDir
	}
	return r.ConfigDir
}

// checkConfigs asks, for each configuration that the nodes have, whether what it encrypts may be migrated.
func (r *Run) checkConfigs(ctx context.Context) error {
	seen := map[string]bool{}
	for _, f := range r.Files {
		if f.Config == nil || seen[f.Digest] {
			continue
		}
		seen[f.Digest] = true
		if err := r.checkMigration(ctx, *f.Config); err != nil {
			return err
		}
	}
	return nil
}
