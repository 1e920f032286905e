// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

// Run is one command at work by a plan.
type Run struct {
	*operation.Operation
	Options
	migrator *migrator.Migrator
	// room refuses a migration of the resources that etcd has no room for.
	room func(context.Context, *controlplane.ControlPlane, []kube.Resource) error

	// served is what the API server serves; aggregated the groups among it that are stored elsewhere.
	served     []kube.Resource
	aggregated map[string]bool
	goal       plan.Goal
	// record is the rotation's entry in the ledger, as last written.
	record ledger.Rotation
	// reports of migrations, by resource.
	reports []migrate.Report
	// counted is what etcd was counted to hold since the last migration, nil if it was not counted since.
	counted *counted
	// last is the last step that was done.
	last plan.Step
	// ahead is what is to be observed if the last step has had its full effect.
	ahead plan.Observed
	// usage is what Prune was proven by, dropped what it takes out; forgot: the histories are without it.
	usage   *Usage
	dropped []encconfig.Key
	forgot  bool
	// mayWrite: a configuration that writes with the goal's key was sent to a node.
	mayWrite bool
}

// New prepares a run. It sends no request.
func New(c *kube.Cluster, o Options) (*Run, error) {
	o.Settings.Name = string(o.Mode)
	o.Settings.Manifests, o.Settings.ReadOnly = o.changesFlags(), o.Mode == MigrateOnly
	op, err := operation.New(c, o.Settings)
	if err != nil {
		return nil, err
	}
	m := migrator.New(c, op.Observer.Reacher, o.Migration, op.ID, op.Emit)
	return &Run{Operation: op, Options: o, migrator: m, room: m.CheckRoom}, nil
}

// Do carries the run out. The caller has called Preflight and has the operator's consent.
func (r *Run) Do(ctx context.Context) error { return r.Hold(ctx, r.held) }

// held is Do while the lock is held.
func (r *Run) held(ctx context.Context) error {
	if err := r.Sweep(ctx); err != nil {
		return r.explain(ctx, "inspect", err)
	}
	r.migrator.Sweep(ctx)
	// Whoever held the lock before may have changed what Preflight saw.
	if err := r.Preflight(ctx); err != nil {
		return err
	}
	if err := r.Inspect(ctx); err != nil {
		return r.explain(ctx, "inspect", err)
	}
	if err := r.noteRestored(ctx); err != nil {
		return r.explain(ctx, "inspect", err)
	}
	if err := r.checkConfigs(ctx); err != nil {
		return r.explain(ctx, "inspect", err)
	}
	if r.Mode == MigrateOnly {
		if err := r.Dismiss(ctx); err != nil {
			return r.explain(ctx, "inspect", err)
		}
		return r.explain(ctx, "migrate", r.migrateOnly(ctx))
	}
	done, err := r.setGoal(ctx)
	if err != nil {
		return r.explain(ctx, "plan", err)
	}
	if !done {
		if err := r.follow(ctx); err != nil {
			return err
		}
	}
	return r.explain(ctx, stageForget, r.forget(ctx))
}

// follow asks for the next step and does it, until there is none.
func (r *Run) follow(ctx context.Context) error {
	for {
		if edit := r.last; edit.Kind == plan.EditManifest {
			// What can be observed is on its way out: the API server may be about to restart.
			r.last = plan.Step{Kind: plan.AwaitEdit, Targets: edit.Targets}
			if err := r.do(ctx, r.ahead, r.last); err != nil {
				return r.explain(ctx, r.stage(r.last), err)
			}
		}
		o, err := r.observed(ctx)
		if err != nil {
			return r.explain(ctx, r.record.Stage, err)
		}
		step, err := plan.Next(o, r.goal)
		if err != nil {
			return r.explain(ctx, r.record.Stage, err)
		}
		if step.Kind == plan.Done {
			return nil
		}
		if step.Kind != plan.Push && step.Kind != plan.Await && reflect.DeepEqual(step, r.last) {
			return r.explain(ctx, r.stage(step), fmt.Errorf("the step %q was done and is still to be done: it has no effect", r.stage(step)))
		}
		err = r.do(ctx, o, step)
		if r.Replan(err) {
			continue
		}
		if err != nil {
			return r.explain(ctx, r.stage(step), err)
		}
		if step.Kind == plan.Close {
			return r.ended()
		}
		r.last, r.ahead = step, o.After(step)
	}
}

// do carries out one step and tells of it.
func (r *Run) do(ctx context.Context, o plan.Observed, step plan.Step) error {
	stage := r.stage(step)
	return r.Step(operation.Step{Stage: stage, Text: r.text(step), Ahead: r.stepsAhead(o)}, func() (string, error) {
		if step.Kind != plan.AwaitEdit { // there may be nobody to write it
			if err := r.note(ctx, func(rec *ledger.Rotation) { rec.Stage = stage }); err != nil {
				return "", err
			}
		}
		if step.Kind != plan.Push && step.Kind != plan.EditManifest {
			if err := r.Dismiss(ctx); err != nil {
				return "", err
			}
		}
		return r.carryOut(ctx, step)
	})
}

func (r *Run) carryOut(ctx context.Context, step plan.Step) (result string, err error) {
	switch step.Kind {
	case plan.AwaitEdit:
		return "", r.awaitEdit(ctx, step.Targets[0])
	case plan.EditManifest:
		return "", r.editManifest(ctx, step)
	case plan.KubeadmConfig:
		return "", r.editKubeadm(ctx)
	case plan.Age:
		return "", r.age(ctx)
	case plan.Await:
		return "", r.await(ctx)
	case plan.Push:
		return "", r.push(ctx, step)
	case plan.Settle:
		r.counted = nil
		return "", r.settle(ctx)
	case plan.Migrate:
		r.counted = nil
		return r.migrate(ctx)
	case plan.Verify:
		return r.verify(ctx)
	case plan.Close:
		return "", r.close(ctx)
	default:
		return "", fmt.Errorf("unknown step %q", step.Kind)
	}
}

// stepsAhead is how many steps there are after the next one.
func (r *Run) stepsAhead(o plan.Observed) int {
	ahead, err := plan.Preview(o, r.goal)
	if err != nil {
		return 0
	}
	const nextAndDone = 2
	return len(ahead) - nextAndDone
}

// explain adds to an error where the run stands, whether it is safe to stop there, and how to go on.
func (r *Run) explain(ctx context.Context, stage string, err error) error {
	if err == nil {
		return nil
	}
	var refusal *plan.Refusal
	if errors.As(err, &refusal) && refusal.Hint != "" {
		err = hint.New(err, refusal.Hint)
	}
	safe, hints := r.standing()
	if errors.Is(err, errEdit) {
		hints = nil
	}
	return operation.Interrupted(ctx, hint.AtStage(err, stage, safe, hints...))
}
