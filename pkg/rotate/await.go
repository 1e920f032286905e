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
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

// await waits until every instance has proven the configuration of its own node. It never takes time passed for a
// proof; when its own time is over it ends in "not yet", from which a run is resumed.
func (r *Run) await(ctx context.Context) (string, error) {
	deadline := time.Now().Add(r.ConvergeTimeout)
	total := len(r.readers())
	for {
		lagging := r.lagging(ctx)
		r.Emit(event.StepProgress{
			Stage: stageAwait, Done: total - len(lagging), Total: total, Unit: "kube-apiservers", Detail: strings.Join(lagging, "; "),
		})
		if len(lagging) == 0 {
			clear(r.unproven)
			return "", r.converged(ctx)
		}
		if time.Now().After(deadline) {
			return "", r.notYet(lagging)
		}
		if err := r.sleep(ctx, pollInterval); err != nil {
			return "", err
		}
	}
}

// readers are the instances that read a file.
func (r *Run) readers() []controlplane.Instance {
	return slices.DeleteFunc(slices.Clone(r.view.ControlPlane.Instances), func(in controlplane.Instance) bool {
		return in.Manifest.ConfigPath == ""
	})
}

// notYet is the end of the waiting. Before 1.34 there is a case in which it would never end: a file that is written
// again with the bytes that are loaded already is no reload, so nothing proves it but a restart.
func (r *Run) notYet(lagging []string) error {
	e := &hint.Error{
		Err:  fmt.Errorf("not every kube-apiserver has loaded its file within %s: %s", r.ConvergeTimeout, strings.Join(lagging, "; ")),
		Exit: hint.ExitTimeout,
	}
	for _, evidence := range r.view.Evidence {
		if !evidence.TellsHash {
			e.Hints = []string{"before Kubernetes 1.34 a kube-apiserver may load a file without telling: restart the one that lags, then go on"}
		}
	}
	return e
}

// lagging says which instances have not proven their file yet, and why.
func (r *Run) lagging(ctx context.Context) []string {
	evidence, failed := r.observer.Instances(ctx, r.view.ControlPlane)
	var list []string
	for _, in := range r.readers() {
		file := r.files[in.Node]
		e, ok := evidence[in.Node]
		switch verdict := e.Proves(file.Digest, file.ModTime); {
		case !ok:
			list = append(list, fmt.Sprintf("%s: %v", in.Node, failed[in.Node]))
		case !verdict.Loaded && e.FailedSince(file.ModTime):
			list = append(list, in.Node+": its last reload failed, see the log of its kube-apiserver")
		case !verdict.Loaded:
			list = append(list, in.Node+": "+verdict.Reason)
		}
	}
	slices.Sort(list)
	return list
}

// converged puts the proven configuration on record, if all nodes have the same.
func (r *Run) converged(ctx context.Context) error {
	readers := r.readers()
	if len(readers) == 0 || len(readers) < len(r.view.ControlPlane.Instances) && r.goal.Flags != plan.RemoveFlags {
		return nil
	}
	first := r.files[readers[0].Node]
	for _, in := range readers {
		if r.files[in.Node].Digest != first.Digest {
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
// that is not by this run's own push.
func (r *Run) stillProven(rec ledger.Rotation, now encconfig.Description) map[string]ledger.Migration {
	if r.last.Kind != plan.Push {
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
	return r.ledger().Update(ctx, func(l *ledger.Ledger) {
		rec := l.ByID(r.record.ID)
		if rec == nil { // the ledger was deleted meanwhile
			l.Begin(r.record)
			return
		}
		change(rec)
	})
}
