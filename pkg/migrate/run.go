// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxPasses is how often a run asks about objects that should have been done. One pass is the rule.
const maxPasses = 4

// Run migrates every object of a resource that is not later than the baseline, and proves it (see the package
// comment). An object that can't be migrated is in the report and is no error. With an error, the context's among
// them, the report is what was done by then; nothing has to be undone, and another run goes on from there.
func Run(ctx context.Context, client Client, r Resource, opts Options) (Report, error) {
	if err := opts.validate(); err != nil {
		return Report{Resource: r, Baseline: opts.Baseline}, err
	}
	e := newEngine(client, r, opts)
	var report Report
	for number := 1; ; number++ {
		last, err := e.pass(ctx, number)
		report = last.after(report)
		report.Resource, report.Baseline = r, e.baseline
		if err != nil {
			return e.end(ctx, report, err)
		}
		_, left, err := e.count(ctx)
		if err != nil {
			return e.end(ctx, report, err)
		}
		if left <= report.Unchanged+report.Failed {
			report.Complete = report.Failed == 0
			return report, nil
		}
		if number == maxPasses {
			report.Note = fmt.Sprintf("%d objects are not later than the baseline, of which %d are accounted for, after %d passes",
				left, report.Unchanged+report.Failed, number)
			return report, nil
		}
	}
}

// end ends a run early.
func (e *engine) end(ctx context.Context, report Report, err error) (Report, error) {
	switch {
	case ctx.Err() != nil:
		return report, ctx.Err()
	case errors.Is(err, errVanished):
		report.Note = "the server does not serve " + e.resource.String() + " in this version any more"
		return report, nil
	default:
		return report, err
	}
}

// Baseline returns a resourceVersion that is later than every write that has ended. Take it when every
// kube-apiserver writes with the write key and the writes in flight have ended.
func Baseline(ctx context.Context, client Client, r Resource) (string, error) {
	e := newEngine(client, r, Options{})
	page, err := e.page(ctx, "", metav1.ListOptions{Limit: 1})
	if err != nil {
		return "", fmt.Errorf("take baseline of %s: %w", r, err)
	}
	if err := e.begin(page); err != nil {
		return "", err
	}
	return e.baseline, nil
}

// CountStale counts the objects of a resource, and those that are not later than the baseline: stale, or current and
// not proven so. It writes nothing.
func CountStale(ctx context.Context, client Client, r Resource, baseline string) (objects, stale int64, err error) {
	if baseline == "" {
		return 0, 0, fmt.Errorf("count %s: no baseline", r)
	}
	e := newEngine(client, r, Options{Baseline: baseline})
	objects, stale, err = e.count(ctx)
	if err != nil && ctx.Err() != nil {
		return 0, 0, ctx.Err()
	}
	if err != nil {
		return 0, 0, fmt.Errorf("count %s: %w", r, err)
	}
	return objects, stale, nil
}
