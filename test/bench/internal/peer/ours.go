// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
	"k8s.io/client-go/rest"
)

// ours is what `kubectl encryption migrate` does with one resource.
func ours(ctx context.Context, config *rest.Config, job Job) (Outcome, error) {
	client, err := migrate.NewClientForConfig(config)
	if err != nil {
		return Outcome{}, err
	}
	runtime.GOMAXPROCS(1) // as pkg/migrator does
	began := time.Now()
	baseline, err := migrate.Baseline(ctx, client, Resource())
	if err != nil {
		return Outcome{}, err
	}
	workers := 0
	report, err := migrate.Run(ctx, client, Resource(), migrate.Options{
		Baseline: baseline, Concurrency: job.Workers, PatchType: job.PatchType,
		Progress: func(p migrate.Progress) { workers = max(workers, p.Workers) },
	})
	if err != nil {
		return Outcome{}, err
	}
	if !report.Complete {
		return Outcome{}, fmt.Errorf("not complete: %d failed, reasons %v. %s", report.Failed, report.Reasons(), report.Note)
	}
	return Outcome{Work: since(began), Written: report.Migrated, Workers: workers}, nil
}
