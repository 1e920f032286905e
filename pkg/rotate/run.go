// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/lock"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/nodejob"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

// state is what a run knows at a moment. All of it can be found out again.
type state struct {
	view *observe.View
	lock *lock.Lock
	// served is what the API server serves; aggregated the groups among it that are stored elsewhere.
	served     []kube.Resource
	aggregated map[string]bool
	// files are what the agents saw last, by node; kept are the agents that wait for the next step, nil if none do.
	files map[string]agentapi.State
	kept  *crew
	goal  plan.Goal
	// record is the rotation's entry in the ledger, as last written.
	record ledger.Rotation
	// reports of migrations, by resource.
	reports []migrate.Report
	// counted is what etcd was counted to hold since the last migration, nil if it was not counted since.
	counted *counted
	// number counts the steps.
	number int
	// pushed: a file may have been changed by this run.
	pushed bool
	// unproven are the nodes whose file was changed, or whose kube-apiserver was restarted: what they have loaded is not
	// awaited yet.
	unproven map[string]bool
	// last is the last step that was done.
	last plan.Step
	// ahead is what is to be observed if the last step has had its full effect.
	ahead plan.Observed
	// replans counts how often a step was given up because the nodes had changed.
	replans int
	// usage is what Prune was proven by, dropped what it takes out; forgot: the histories are without it.
	usage   *Usage
	dropped []encconfig.Key
	forgot  bool
	// distrusted: a repair has forgotten what was on record of the data.
	distrusted bool
	// mayWrite: a configuration that writes with the goal's key was sent to a node.
	mayWrite bool
}

// New prepares a run. It sends no request.
func New(c *kube.Cluster, o Options) (*Run, error) {
	id := make([]byte, 4)
	if _, err := rand.Read(id); err != nil {
		return nil, fmt.Errorf("draw the run's name: %w", err)
	}
	name, observer := hex.EncodeToString(id), observe.New(c)
	observer.Ignore = o.Ignore
	m := migrator.New(c, observer.Reacher, o.Migration, name, o.Emit)
	return &Run{
		Options: o, id: name, cluster: c, observer: observer,
		runner:   &nodejob.Runner{Config: c.Config, Client: c.Typed, StartTimeout: o.JobTimeout},
		migrator: m, room: m.CheckRoom, sleep: sleep, state: state{unproven: map[string]bool{}},
	}, nil
}

// maxReplans is how often the nodes may change under a run before it gives up.
const maxReplans = 3

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// ID is the run's name: in labels, in the ledger, in the lock.
func (r *Run) ID() string { return r.id }

// Do carries the run out. The caller has called Preflight and has the operator's consent.
func (r *Run) Do(ctx context.Context) (err error) {
	defer r.observer.Reacher.Close()
	waiting := func(text string) { r.Emit(event.Notice{Text: text}) }
	ctx, r.lock, err = lock.Acquire(ctx, r.cluster.Typed.CoordinationV1(), r.holder(), waiting)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.dismiss(ctx), r.runner.Drain(ctx, r.id), r.lock.Release(ctx)) }()
	if swept, err := r.runner.Sweep(ctx, r.id); err != nil {
		return err
	} else if swept > 0 {
		r.Emit(event.Notice{Text: fmt.Sprintf("%d Job(s) of an earlier run removed", swept)})
	}
	r.migrator.Sweep(ctx)
	// Whoever held the lock before may have changed what Preflight saw.
	if err := r.Preflight(ctx); err != nil {
		return err
	}
	if err := r.inspect(ctx); err != nil {
		return r.explain(ctx, "inspect", err)
	}
	if err := r.checkConfigs(ctx); err != nil {
		return r.explain(ctx, "inspect", err)
	}
	if r.Mode == MigrateOnly {
		if err := r.dismiss(ctx); err != nil {
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

func (r *Run) holder() string { return fmt.Sprintf("%s (%s, run %s)", r.By, r.Mode, r.id) }

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
		if errors.Is(err, errReplan) && r.replans < maxReplans {
			r.replans++
			r.number--
			r.Emit(event.Notice{Text: err.Error() + ": planning again"})
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
	started := time.Now()
	r.number++
	number, total, stage := r.number, r.total(o), r.stage(step)
	text := r.text(step)
	r.Emit(event.StepStarted{Number: number, Total: total, Stage: stage, Text: text})
	if step.Kind != plan.AwaitEdit { // there may be nobody to write it
		if err := r.note(ctx, func(rec *ledger.Rotation) { rec.Stage = stage }); err != nil {
			return err
		}
	}
	if step.Kind != plan.Push && step.Kind != plan.EditManifest {
		if err := r.dismiss(ctx); err != nil {
			return err
		}
	}
	result, err := r.carryOut(ctx, step)
	if err != nil {
		return err
	}
	r.Emit(event.StepDone{Number: number, Total: total, Stage: stage, Text: text + result, Elapsed: time.Since(started)})
	return nil
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
		return r.await(ctx)
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

// total is how many steps there are, done ones included.
func (r *Run) total(o plan.Observed) int {
	ahead, err := plan.Preview(o, r.goal)
	if err != nil {
		return r.number
	}
	return r.number - 1 + len(ahead) - 1
}

func (r *Run) ledger() ledger.Store { return ledger.Store{Client: r.cluster.Typed.CoreV1()} }

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
	if r.Mode == MigrateOnly || errors.Is(err, errEdit) {
		hints = nil
	}
	return interrupted(ctx, hint.AtStage(err, stage, safe, hints...))
}

// interrupted says of an error that came with the end of the context what has ended it.
func interrupted(ctx context.Context, wrapped error) error {
	var e *hint.Error
	if errors.As(wrapped, &e) && ctx.Err() != nil {
		if errors.Is(context.Cause(ctx), lock.ErrLost) {
			e.Err = fmt.Errorf("%w (%v)", lock.ErrLost, e.Err)
		} else {
			e.Err, e.Exit = errors.New("interrupted"), hint.ExitInterrupted
		}
	}
	return wrapped
}
