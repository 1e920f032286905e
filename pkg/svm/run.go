// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package svm

import (
	"context"
	"errors"
	"fmt"
	"time"

	svmv1 "k8s.io/api/storagemigration/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// ErrFailed is that the controller gave the migration up.
var ErrFailed = errors.New("the StorageVersionMigration controller gave up")

// Options say how the controller's migration is run.
type Options struct {
	// Baseline is as in migrate.Options. Without one it is taken when the run begins.
	Baseline string
	// Run identifies the run, as a label of what it makes.
	Run string
	// Migrate is for the last pass, by the own engine; its Baseline and Progress are those of here.
	Migrate migrate.Options
	// Progress is told how far the migration is, never from two goroutines at once. It must return soon.
	Progress func(migrate.Progress)
	// Notice is told in a sentence what is waited for, at most every 30 seconds, and what can't be cleaned up.
	Notice func(string)
}

// run is one run on one resource.
type run struct {
	client   kubernetes.Interface
	migrator migrate.Client
	resource migrate.Resource
	opts     Options
	baseline string
	// name of our StorageVersionMigration, empty before there is one.
	name string
	// objects of the resource and those of them not later than the baseline: before the controller began, and now.
	objects, before, stale int64
	// counted is when they were counted last, cost is how long that took, began when nothing was migrated yet.
	counted, began time.Time
	cost           time.Duration
	told           time.Time
	// idle is since when there are migrations of others, and the controller works on none.
	idle time.Time
	// suspects are the objects that the controller can't get past, as far as they were looked for.
	searched bool
	suspects []migrate.Failure
}

// Run has the controller migrate a resource, proves by the baseline that nothing is stale, and cleans up. The caller
// has seen to it that all kube-apiservers write with the write key. The report is that of migrate.Run, with the
// controller's work put in:
//
//   - Migrated are the objects that were not later than the baseline and are now: stored again by the controller or by
//     others meanwhile, but for those that were deleted, plus what the own engine has stored again.
//   - Skipped are the other objects that are later than the baseline.
//   - Unchanged, Gone, Conflicts, Altered and Failed are what the own engine found in the last pass. The controller
//     does not tell them apart.
//   - Passes counts the controller's work as one.
//
// With an error, also the context's, the report is what was proven by then. ErrFailed comes with the object that is
// to blame in Report.Failures, if it was found.
func Run(
	ctx context.Context, client kubernetes.Interface, m migrate.Client, resource migrate.Resource, opts Options,
) (migrate.Report, error) {
	r := &run{client: client, migrator: m, resource: resource, opts: opts, baseline: opts.Baseline}
	report, err := r.run(ctx)
	if err != nil && ctx.Err() != nil {
		return report, ctx.Err()
	}
	return report, err
}

func (r *run) run(ctx context.Context) (migrate.Report, error) {
	if err := r.prepare(ctx); err != nil || r.stale == 0 {
		return r.report(err == nil), err
	}
	m := request(r.resource, r.opts.Run)
	r.name = m.Name
	defer r.cleanUp(ctx)
	if err := create(ctx, r.client, m); err != nil {
		return r.report(false), err
	}
	ended, err := r.follow(ctx)
	if err != nil {
		return blaming(r.report(false), r.suspects), err
	}
	if err := r.count(ctx); err != nil {
		return r.report(false), err
	}
	if stageOf(ended) == failed && r.stale > 0 {
		return r.giveUp(ctx, ended)
	}
	return r.finish(ctx) // also if it failed on an object that was written after the baseline, which is current
}

// prepare takes the baseline, waits for the migrations of others, and counts what is to be done.
func (r *run) prepare(ctx context.Context) (err error) {
	if err := RequireServed(ctx, r.client); err != nil {
		return err
	}
	if r.baseline == "" {
		if r.baseline, err = migrate.Baseline(ctx, r.migrator, r.resource); err != nil {
			return err
		}
	}
	if err := removeFormer(ctx, r.client, r.resource, r.opts.Run); err != nil {
		return err
	}
	if err := r.count(ctx); err != nil {
		return err
	}
	if r.stale > 0 {
		waited, err := r.awaitForeign(ctx)
		if err != nil {
			return err
		}
		if waited {
			if err := r.count(ctx); err != nil {
				return err
			}
		}
	}
	r.before, r.began = r.stale, time.Now()
	return nil
}

// finish has the own engine ask about what is left, and so proves that nothing is stale.
func (r *run) finish(ctx context.Context) (migrate.Report, error) {
	if r.stale == 0 {
		return r.report(true), nil
	}
	opts := r.opts.Migrate
	opts.Baseline, opts.Progress = r.baseline, nil
	if r.opts.Progress != nil {
		opts.Progress = func(p migrate.Progress) {
			p.Pass++
			p.Migrated += r.byController()
			r.opts.Progress(p)
		}
	}
	last, err := migrate.Run(ctx, r.migrator, r.resource, opts)
	return r.add(last), err
}

// giveUp reports a migration that failed, with the object that is to blame.
func (r *run) giveUp(ctx context.Context, m *svmv1.StorageVersionMigration) (migrate.Report, error) {
	message, ofObject := failure(m)
	report := r.report(false)
	if !ofObject {
		return report, r.failedError(hint.Shorten(message))
	}
	r.say(fmt.Sprintf("the controller gave up after an object of %s; it is looked for by dry run", r.resource))
	report = blaming(report, r.culprits(ctx, message))
	if report.Failed == 0 {
		return report, r.failedError(quotable(message) + " (the log of kube-controller-manager names the object)")
	}
	return report, r.failedError(describe(report.Failures[0]))
}

func (r *run) failedError(why string) error {
	return &hint.Error{
		Err:   fmt.Errorf("%w, %d of %d objects are not proven to be migrated: %s", ErrFailed, r.stale, r.objects, why),
		Safe:  "what is migrated stays so, nothing has to be undone",
		Hints: []string{"use " + native},
	}
}

// cleanUp removes our StorageVersionMigration. That it can't is told, and does not change how the run ended: the next
// run sweeps.
func (r *run) cleanUp(ctx context.Context) {
	if err := remove(ctx, r.client, r.name); err != nil {
		r.say(fmt.Sprintf("%v; remove it with: kubectl delete storageversionmigrations %s", err, r.name))
	}
	if ctx.Err() != nil {
		r.say(fmt.Sprintf("the controller is not stopped by that: it may go on with the objects of %s that it has read", r.resource))
	}
}
