// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// ErrFailedObjects is matched by a migration that left objects behind.
var ErrFailedObjects = errors.New("objects could not be migrated")

// settle waits for writes in flight and records where each resource stands. The plan has it done when every instance
// has proven the one configuration, which a resumed run may not have put on record yet.
func (r *Run) settle(ctx context.Context) error {
	if err := r.converged(ctx); err != nil {
		return err
	}
	if err := r.sleep(ctx, settleTime); err != nil {
		return err
	}
	if err := r.recheck(ctx); err != nil {
		return err
	}
	if err := r.recordBaselines(ctx, r.covered(r.agreed())); err != nil {
		return err
	}
	now, err := r.cluster.Now(ctx)
	if err != nil {
		return err
	}
	return r.note(ctx, func(rec *ledger.Rotation) { rec.SettleTime = &now })
}

func (r *Run) recordBaselines(ctx context.Context, resources []kube.Resource) error {
	baselines := map[string]string{}
	for _, res := range resources {
		baseline, err := migrate.Baseline(ctx, r.migrator, migratable(res))
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

// agreed is the configuration that all nodes have whose kube-apiserver reads one, or all there are if none does; the
// plan has seen to it that there is one.
func (r *Run) agreed() encconfig.Description {
	for _, in := range slices.Concat(r.readers(), r.view.ControlPlane.Instances) {
		if config := r.files[in.Node].Config; config != nil {
			return *config
		}
	}
	return encconfig.Description{}
}

// migrate rewrites what is stale of every resource that the goal is about.
func (r *Run) migrate(ctx context.Context) (string, error) {
	return r.migrateAll(ctx, r.covered(r.agreed()))
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
	report, err := migrate.Run(ctx, r.migrator, migratable(res), migrate.Options{
		Baseline: r.record.Migrations[res.Name()].Baseline, Concurrency: r.Concurrency, MaxRate: r.MaxRate,
		Progress: func(p migrate.Progress) { r.Emit(progressEvent(res.Name(), p)) },
	})
	if err != nil {
		return fmt.Errorf("migrate %s: %w", res.Name(), err)
	}
	r.reports = append(r.reports, report)
	if report.Note != "" {
		r.Emit(event.Notice{Text: res.Name() + ": " + report.Note})
	}
	if report.Altered > 0 {
		r.Emit(event.Warning{Text: fmt.Sprintf("%s: admission changed %d object(s) while they were migrated", res.Name(), report.Altered)})
	}
	now, err := r.cluster.Now(ctx)
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

func progressEvent(name string, p migrate.Progress) event.MigrationProgress {
	left := -1.0
	if p.Rate > 0 && p.Total >= p.Done && p.Total > 0 {
		left = float64(p.Total-p.Done) / p.Rate
	}
	return event.MigrationProgress{Resource: name, Done: p.Done, Total: p.Total, Migrated: p.Migrated, Failed: p.Failed, Rate: p.Rate, Left: left}
}

// skipped are the first objects that failed, for the record.
func skipped(report migrate.Report) []string {
	const most = 20
	var list []string
	for _, f := range report.Failures[:min(most, len(report.Failures))] {
		list = append(list, fmt.Sprintf("%s: %s", objectName(f), f.Reason))
	}
	return list
}

func objectName(f migrate.Failure) string {
	if f.Namespace == "" {
		return f.Name
	}
	return f.Namespace + "/" + f.Name
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
		return "", fmt.Errorf("%d %w: %s", failed, ErrFailedObjects, failures(r.reports))
	case len(incomplete) > 0:
		return "", fmt.Errorf("not every object is proven to be migrated: %s", strings.Join(incomplete, "; "))
	}
	return fmt.Sprintf(": %d migrated, nothing is stale", migrated), nil
}

// failures groups what failed by reason.
func failures(reports []migrate.Report) string {
	var lines []string
	for _, group := range Groups(reports) {
		line := fmt.Sprintf("\n  %s, %d object(s)", group.Reason, group.Count)
		if group.Webhook != "" {
			line += " (webhook " + oneLine(group.Webhook) + ")"
		}
		line += ": " + oneLine(group.Message)
		const shown = 5
		line += "\n    " + group.Resource + " " + oneLine(strings.Join(group.Objects[:min(shown, len(group.Objects))], ", "))
		if more := group.Count - int64(min(shown, len(group.Objects))); more > 0 {
			line += fmt.Sprintf(" and %d more", more)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "")
}

// oneLine keeps what a cluster says from looking like a line of ours. What else it may hold is escaped where it is printed.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Group is the objects of one resource that failed for one reason.
type Group struct {
	Resource, Webhook, Message string
	Reason                     migrate.Reason
	Count                      int64
	// Objects are the first ones.
	Objects []string
}

// Groups sorts failures by resource, reason and webhook, in the order in which they were met.
func Groups(reports []migrate.Report) []Group {
	type id struct{ resource, reason, webhook string }
	index := map[id]int{}
	var groups []Group
	for _, report := range reports {
		for _, f := range report.Failures {
			k := id{report.Resource.String(), string(f.Reason), f.Webhook}
			at, known := index[k]
			if !known {
				at = len(groups)
				index[k] = at
				groups = append(groups, Group{Resource: k.resource, Reason: f.Reason, Webhook: f.Webhook, Message: f.Message})
			}
			groups[at].Count++
			groups[at].Objects = append(groups[at].Objects, objectName(f))
		}
		for i := range groups {
			if g := &groups[i]; g.Resource == report.Resource.String() && g.Webhook == "" {
				g.Count = max(g.Count, report.Reasons[g.Reason])
			}
		}
	}
	return groups
}

// close ends the record.
func (r *Run) close(ctx context.Context) error {
	now, err := r.cluster.Now(ctx)
	if err != nil {
		return err
	}
	return r.note(ctx, func(rec *ledger.Rotation) {
		rec.CompletionTime, rec.Aborted = &now, r.goal.Abort
		if !r.goal.Abort {
			rec.Stage = "done"
		}
	})
}

func migratable(r kube.Resource) migrate.Resource {
	return migrate.Resource{GVR: r.GVR, Kind: r.Kind, Namespaced: r.Namespaced}
}
