// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
)

// ErrFailedObjects is matched by a migration that left objects behind.
var ErrFailedObjects = errors.New("objects could not be migrated")

// settle waits for writes in flight and records where each resource stands. The plan has it done when every instance
// has proven the one configuration, which a resumed run may not have put on record yet.
func (r *Run) settle(ctx context.Context) error {
	if err := r.reread(ctx); err != nil {
		return err
	}
	if err := r.converged(ctx); err != nil {
		return err
	}
	if err := operation.Sleep(ctx, settleTime); err != nil {
		return err
	}
	if err := r.recheck(ctx); err != nil {
		return err
	}
	if err := r.recordBaselines(ctx, r.covered(r.Agreed())); err != nil {
		return err
	}
	now, err := r.Cluster.Now(ctx)
	if err != nil {
		return err
	}
	return r.note(ctx, func(rec *ledger.Rotation) { rec.SettleTime = &now })
}

// reread takes over from the record what others have found out meanwhile: a verification voids what it contradicts.
func (r *Run) reread(ctx context.Context) error {
	book, _, err := r.Ledger().Load(ctx)
	if err != nil {
		return err
	}
	if rec := book.ByID(r.record.ID); rec != nil {
		r.record = *rec
	}
	return nil
}

func (r *Run) recordBaselines(ctx context.Context, resources []kube.Resource) error {
	baselines := map[string]string{}
	for _, res := range resources {
		baseline, err := migrate.Baseline(ctx, r.migrator, migrator.Resource(res))
		if err != nil {
			return fmt.Errorf("read the resourceVersion of %s: %w", res.Name(), err)
		}
		baselines[res.Name()] = baseline
	}
	return r.note(ctx, func(rec *ledger.Rotation) {
		if rec.Migrations == nil {
			rec.Migrations = map[string]ledger.Migration{}
		}
		for name, baseline := range baselines {
			if rec.Migrations[name].Baseline == "" {
				rec.Migrations[name] = ledger.Migration{Baseline: baseline}
			}
		}
	})
}

// migrate rewrites what is stale of every resource that the goal is about.
func (r *Run) migrate(ctx context.Context) (string, error) {
	return r.migrateAll(ctx, r.covered(r.Agreed()))
}

func (r *Run) migrateAll(ctx context.Context, resources []kube.Resource) (string, error) {
	for _, res := range resources {
		if r.record.Migrations[res.Name()].Complete {
			continue
		}
		if err := r.migrateOne(ctx, res); err != nil {
			return "", err
		}
	}
	return r.verdict()
}

func (r *Run) migrateOne(ctx context.Context, res kube.Resource) error {
	report, err := r.migrator.Migrate(ctx, r.View.ControlPlane, res, r.record.Migrations[res.Name()].Baseline)
	r.reports = append(r.reports, report)
	if err != nil {
		return r.explainEarlyEnd(res, err)
	}
	if report.Note != "" {
		r.Emit(event.Notice{Text: res.Name() + ": " + report.Note})
	}
	if report.Altered > 0 {
		r.Emit(event.Warning{Text: fmt.Sprintf("%s: admission changed %d object(s) while they were migrated", res.Name(), report.Altered)})
	}
	now, err := r.Cluster.Now(ctx)
	if err != nil {
		return err
	}
	return r.note(ctx, func(rec *ledger.Rotation) {
		m := rec.Migrations[res.Name()]
		m.Complete, m.Objects, m.Migrated = report.Complete, report.Listed, m.Migrated+report.Migrated
		m.Unchanged, m.Failed, m.Skipped = report.Unchanged, report.Failed, skipped(report)
		m.CompletionTime = &now
		rec.Migrations[res.Name()] = m
	})
}

// explainEarlyEnd adds to the error of a migration that came to no end what has failed by then.
func (r *Run) explainEarlyEnd(res kube.Resource, err error) error {
	err = fmt.Errorf("migrate %s: %w", res.Name(), err)
	if !errors.Is(err, migrate.ErrTooManyFailures) {
		return err
	}
	return hint.New(fmt.Errorf("%w%s", err, migrator.Failures(r.reports)),
		"find out why they fail, then go on; or go on regardless with --max-failures 0, and have all of them listed")
}

// skipped are the first objects that failed, for the record.
func skipped(report migrate.Report) []string {
	const most = 20
	var list []string
	for _, f := range report.Failures[:min(most, len(report.Failures))] {
		list = append(list, fmt.Sprintf("%s: %s", f.Object(), f.Reason))
	}
	return list
}

// verdict sums the migrations up: done, or what is left and why.
func (r *Run) verdict() (string, error) {
	var migrated, failed int64
	var incomplete []string
	for _, report := range r.reports {
		migrated += report.Migrated
		failed += report.Failed
		if !report.Complete && report.Failed == 0 {
			incomplete = append(incomplete, report.Resource.String()+": "+report.Note)
		}
	}
	switch {
	case failed > 0:
		return "", fmt.Errorf("%d %w: %s", failed, ErrFailedObjects, migrator.Failures(r.reports))
	case len(incomplete) > 0:
		return "", fmt.Errorf("not every object is proven to be migrated: %s", strings.Join(incomplete, "; "))
	}
	return fmt.Sprintf(": %d migrated, nothing is stale", migrated), nil
}

// keepCount has the record of this run's count hold for the configuration as it is now: since it was counted only keys have
// left that no value was seen under.
func (r *Run) keepCount(ctx context.Context) error {
	if r.counted == nil || r.counted.found == nil {
		return nil
	}
	refuted := len(r.off()) > 0
	return r.Ledger().Update(ctx, func(l *ledger.Ledger) {
		if refuted {
			l.Refute(*r.counted.found)
		}
		if v := l.Verification; v != nil && v.Time.Equal(r.counted.found.Time) && v.Digest == r.counted.found.Digest {
			v.Digest = r.Agreed().Digest
		}
	})
}

// close ends the record. What a count contradicts is not on record as migrated from then on, so that status says of it that
// it is not known. Killed in between, a run that goes on migrates it again.
// A node that has joined meanwhile is not known to read what is stored now.
func (r *Run) close(ctx context.Context) error {
	if err := r.recheck(ctx); err != nil {
		return err
	}
	if !r.goal.Abort { // a run that goes on when everything is loaded has awaited nothing
		if err := r.converged(ctx); err != nil {
			return err
		}
	}
	r.tellLeftOut()
	now, err := r.Cluster.Now(ctx)
	if err != nil {
		return err
	}
	if err := r.keepCount(ctx); err != nil {
		return err
	}
	return r.note(ctx, func(rec *ledger.Rotation) {
		rec.CompletionTime, rec.Aborted = &now, r.goal.Abort
		if !r.goal.Abort {
			rec.Stage = "done"
		}
	})
}
