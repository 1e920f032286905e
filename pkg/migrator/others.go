// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrator

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/svm"
)

// CheckEngine refuses an engine that the cluster does not have.
func (m *Migrator) CheckEngine(ctx context.Context) error {
	if m.settings.Engine != SVM {
		return nil
	}
	return svm.RequireServed(ctx, m.cluster.Typed)
}

// Sweep removes StorageVersionMigrations that earlier runs left behind, whatever the engine is now. The caller holds the
// lock. That it can't is told by whoever has a right to expect it: the engine that makes them.
func (m *Migrator) Sweep(ctx context.Context) {
	swept, err := svm.Sweep(ctx, m.cluster.Typed, m.run)
	switch {
	case swept > 0:
		m.emit(event.Notice{Text: fmt.Sprintf("%d StorageVersionMigration(s) of an earlier run removed", swept)})
	case err != nil && (m.settings.Engine == SVM || !apierrors.IsForbidden(err)):
		m.emit(event.Notice{Text: fmt.Sprintf("StorageVersionMigrations that an earlier run may have left are not removed: %v", err)})
	}
}

// mentionOthers tells of somebody else's migration of the resource. Both change nothing, so it is no reason to wait, and
// not to know of it none to stop.
func (m *Migrator) mentionOthers(ctx context.Context, res kube.Resource) {
	others, err := svm.Foreign(ctx, m.cluster.Typed, Resource(res), m.run)
	if err != nil {
		return
	}
	for _, o := range others {
		m.emit(event.Notice{Text: fmt.Sprintf(
			"StorageVersionMigration %s, which is not of this program, migrates %s as well, since %s: that is no harm, and twice the work",
			o.Name, res.Name(), o.Created.UTC().Format("2006-01-02 15:04:05 MST"))})
	}
}
