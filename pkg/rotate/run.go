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
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/lock"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/nodejob"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/reload"
)

// state is what a run knows at a moment. All of it can be found out again.
type state struct {
	view *observe.View
	lock *lock.Lock
	// served is what the API server serves; aggregated the groups among it that are stored elsewhere.
	served     []kube.Resource
	aggregated map[string]bool
	// files are what the agents saw last, by node.
	files map[string]agentapi.State
	goal  plan.Goal
	// record is the rotation's entry in the ledger, as last written.
	record ledger.Rotation
	// reports of migrations, by resource.
	reports []migrate.Report
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
	// mayWrite: a configuration that writes with the goal's key was sent to a node.
	mayWrite bool
}

// New prepares a run. It sends no request.
func New(c *kube.Cluster, o Options) (*Run, error) {
	id := make([]byte, 4)
	if _, err := rand.Read(id); err != nil {
		return nil, fmt.Errorf("draw the run's name: %w", err)
	}
	return &Run{
		Options: o, id: hex.EncodeToString(id), cluster: c, observer: observe.New(c),
		runner:   &nodejob.Runner{Config: c.Config, Client: c.Typed, StartTimeout: o.JobTimeout},
		migrator: migrate.NewMetadataClient(c.Metadata), sleep: sleep, state: state{unproven: map[string]bool{}},
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
		if err := r.sleep(ctx, pollInterval); err != nil {
			return err
		}
	}
}

// editMayBeUnderWay tells whether it may be due to an earlier edit that the control plane is not in order, for a run
// that goes on with one.
func (r *Run) editMayBeUnderWay(err error) bool {
	if !r.Continue {
		return false
	}
	if r.view == nil { // to ask what one may do is forbidden to nobody but by a kube-apiserver that has only just started
		return kube.Passing(err) || apierrors.IsForbidden(err)
	}
	open := r.view.Ledger.Open()
	editing := open != nil && (open.Stage == string(plan.EditManifest) || open.Stage == string(plan.AwaitEdit))
	return editing && (len(r.view.ControlPlane.Disagreements) > 0 || len(r.view.Errors) > 0 || kube.Passing(err))
}

func (r *Run) preflight(ctx context.Context) error {
	if err := r.cluster.CheckAccess(ctx, r.permissions()); err != nil {
		return err
	}
	view, err := r.observer.Look(ctx)
	if err != nil {
		return err
	}
	r.view = view
	if err := r.usable(view); err != nil {
		return err
	}
	if err := r.checkResources(); err != nil {
		return err
	}
	// What is in the files is only known when agents have looked; but a missing right is better told now, if the record
	// knows what will be migrated.
	if o, known := r.expected(); known && (r.Mode == Begin || r.Mode == Resume) {
		return r.checkMigration(ctx, *o.Nodes[0].Config)
	}
	return nil
}

// Do carries the run out. The caller has called Preflight and has the operator's consent.
func (r *Run) Do(ctx context.Context) (err error) {
	defer r.observer.Reacher.Close()
	waiting := func(text string) { r.Emit(event.Notice{Text: text}) }
	ctx, r.lock, err = lock.Acquire(ctx, r.cluster.Typed.CoordinationV1(), r.holder(), waiting)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.runner.Drain(ctx, r.id), r.lock.Release(ctx)) }()
	if swept, err := r.runner.Sweep(ctx, r.id); err != nil {
		return err
	} else if swept > 0 {
		r.Emit(event.Notice{Text: fmt.Sprintf("%d Job(s) of an earlier run removed", swept)})
	}
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
		return r.explain(ctx, "migrate", r.migrateOnly(ctx))
	}
	if done, err := r.setGoal(ctx); err != nil || done {
		return r.explain(ctx, "plan", err)
	}
	return r.follow(ctx)
}

func (r *Run) holder() string { return fmt.Sprintf("%s (%s, run %s)", r.By, r.Mode, r.id) }

// recheck looks at the control plane again before something depends on its being what it was: every kube-apiserver
// there is must be one that this run knows, ready, and of one version.
func (r *Run) recheck(ctx context.Context) error {
	view, err := r.observer.Look(ctx)
	if err != nil {
		return err
	}
	if before, now := r.view.ControlPlane.Names(), view.ControlPlane.Names(); !slices.Equal(before, now) {
		return fmt.Errorf("the control plane has changed: its nodes were %s and are %s", strings.Join(before, ", "), strings.Join(now, ", "))
	}
	if err := r.usable(view); err != nil {
		return err
	}
	r.view = view
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

// checkConfigs asks, for each configuration that the nodes have, whether what it encrypts may be migrated.
func (r *Run) checkConfigs(ctx context.Context) error {
	seen := map[string]bool{}
	for _, f := range r.files {
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
		return "", r.settle(ctx)
	case plan.Migrate:
		return r.migrate(ctx)
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

// observed puts together what the plan looks at. After a push nothing counts as loaded before it was awaited, so that
// each push is followed by its proof, on record, however fast the instances were.
func (r *Run) observed(ctx context.Context) (plan.Observed, error) {
	evidence, failed := r.observer.Instances(ctx, r.view.ControlPlane)
	r.view.Evidence, r.view.Errors = evidence, failed
	o := plan.Observed{}
	for _, in := range r.view.ControlPlane.Instances {
		file := r.files[in.Node]
		n := plan.Node{
			Name: in.Node, Config: file.Config, History: configs(file.History), Flags: flagsOf(in.Manifest), Edited: edited(in, file),
		}
		if file.Problem != nil {
			n.Problem, n.Missing = file.Problem.Message, file.Problem.Code == agentapi.Missing
		}
		if e, ok := evidence[in.Node]; ok && !r.unproven[in.Node] && e.Proves(file.Digest, file.ModTime).Loaded {
			n.Loaded = file.Digest
		}
		o.Nodes = append(o.Nodes, n)
	}
	stale, err := r.kubeadmStale(ctx)
	if err != nil {
		return o, err
	}
	o.KubeadmStale = stale
	book, _, err := r.ledger().Load(ctx)
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
	now, err := r.cluster.Now(ctx)
	if err != nil {
		return o, err
	}
	r.progress(&o, book, *agreed, now)
	return o, nil
}

// progress fills in what is on record about the goal's key.
func (r *Run) progress(o *plan.Observed, book *ledger.Ledger, agreed encconfig.Description, now time.Time) {
	names := resourceNames(r.encrypted(agreed))
	if age, known := r.pruneAge(agreed); known {
		o.Unneeded = book.Unneeded(agreed, names, now, age)
	}
	o.Progress.Used = r.used(book)
	rec := book.Trusted(r.goal.Target, agreed.Digest)
	if rec == nil || rec.ID != r.record.ID {
		rec = nil
	}
	p := r.followed(rec, agreed)
	o.Progress.Settled, o.Progress.Migrated = p.Settled, p.Migrated
	o.Aged = rec != nil && p.Migrated && r.aged(rec, agreed, now)
}

// compactions is how many intervals of compaction a superseded revision is waited for.
const compactions = 2

// pruneAge is how long after a migration something may still need the key that it migrated from: superseded revisions
// until they are compacted, and events, which are not migrated, until they expire. False if kube-apiserver does not
// compact: then nothing tells.
func (r *Run) pruneAge(d encconfig.Description) (time.Duration, bool) {
	interval, known := r.view.CompactionInterval()
	age := compactions * interval
	if d.RuleFor("events") != nil || d.RuleFor("events.events.k8s.io") != nil {
		age = max(age, r.view.EventTTL())
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
	for _, e := range r.view.Evidence {
		for _, writes := range e.Writes {
			if r.goal.Target.Provider.Local() && writes[reload.KeyPrefix(r.goal.Target.Name+":")] > 0 {
				return true
			}
		}
	}
	return false
}

func configs(revisions []agentapi.Revision) []encconfig.Description {
	list := make([]encconfig.Description, len(revisions))
	for i, r := range revisions {
		list[i] = r.Config
	}
	return list
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
	wrapped := hint.AtStage(err, stage, safe, hints...)
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
