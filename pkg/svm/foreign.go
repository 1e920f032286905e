// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package svm

import (
	"context"
	"slices"
	"time"

	svmv1 "k8s.io/api/storagemigration/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// foreignInterval is the time between two looks at somebody else's migration.
const foreignInterval = 5 * time.Second

// Migration is a StorageVersionMigration of a resource that has not ended.
type Migration struct {
	Name string
	// Created is the time by the API server's clock.
	Created time.Time
	// Running tells that the controller works on it.
	Running bool
}

// Foreign lists the StorageVersionMigrations of a resource that have not ended and are not of the given run, in the
// order in which they will end: the one that the controller works on, and then the oldest.
func Foreign(ctx context.Context, client kubernetes.Interface, r migrate.Resource, run string) ([]Migration, error) {
	all, err := list(ctx, client, "")
	if err != nil {
		return nil, err
	}
	var foreign []Migration
	for i := range all {
		m := &all[i]
		if m.Spec.Resource != groupResource(r) || stageOf(m).ended() || ofRun(m, run) {
			continue
		}
		foreign = append(foreign, Migration{
			Name: m.Name, Created: m.CreationTimestamp.Time, Running: holds(m, svmv1.MigrationRunning),
		})
	}
	slices.SortStableFunc(foreign, func(a, b Migration) int {
		switch {
		case a.Running && !b.Running:
			return -1
		case b.Running && !a.Running:
			return 1
		default:
			return a.Created.Compare(b.Created)
		}
	})
	return foreign, nil
}

// ahead tells that the controller will be done with a migration before it takes up the given one of ours. The times
// are to the second, so one of the same second may be.
func (m Migration) ahead(ours *svmv1.StorageVersionMigration) bool {
	return m.Running || !m.Created.After(ours.CreationTimestamp.Time)
}

func ofRun(m *svmv1.StorageVersionMigration, run string) bool {
	return m.Labels[project.LabelName] == project.Name && m.Labels[project.LabelRun] == run
}

// awaitForeign waits until no other migration of the resource is left to be done. Only the context ends it early: that
// of somebody who may have set the controller up to run later is not ours to remove, and it is told if none runs.
func (r *run) awaitForeign(ctx context.Context) (waited bool, err error) {
	for {
		foreign, err := Foreign(ctx, r.client, r.resource, r.opts.Run)
		if err != nil || len(foreign) == 0 {
			return waited, err
		}
		waited = true
		r.tellForeign(foreign[0], time.Now())
		if err := sleep(ctx, foreignInterval); err != nil {
			return waited, err
		}
	}
}
