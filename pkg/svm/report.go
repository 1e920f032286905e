// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package svm

import "github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"

// byController is the number of objects that stopped being stale since the controller was asked. Others may have
// written or deleted some of them.
func (r *run) byController() int64 { return max(0, r.before-r.stale) }

// report is what the counts alone say. It is complete if the run came to its end and nothing is stale.
func (r *run) report(ended bool) migrate.Report {
	current := r.objects - r.stale
	return r.add(migrate.Report{
		Resource: r.resource, Baseline: r.baseline, Listed: r.objects, Skipped: current, Complete: ended && r.stale == 0,
	})
}

// add puts the controller's work into the report of what came after it. No more objects can have been migrated than
// are there and current: the others are deleted.
func (r *run) add(report migrate.Report) migrate.Report {
	moved := min(r.byController(), report.Skipped)
	report.Skipped -= moved
	report.Migrated += moved
	if r.name != "" {
		report.Passes++
	}
	return report
}
