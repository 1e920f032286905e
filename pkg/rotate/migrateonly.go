// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"errors"
	"fmt"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// migrateOnly rewrites the named resources under the write keys as they are. It changes no file: nodes that differ,
// or a rotation that has not reached its write key, are for rotate --resume.
func (r *Run) migrateOnly(ctx context.Context) error {
	o, err := r.observed(ctx)
	if err != nil {
		return err
	}
	agreed := o.Agreed()
	if agreed == nil {
		_, err := plan.Next(o, r.goal)
		if err == nil {
			err = errors.New("the control-plane nodes do not have the same configuration")
		}
		return hint.New(err, "go on with: "+project.Command+" rotate --resume")
	}
	if agreed.Uses(encconfig.KMS) {
		return errors.New("the configuration uses a KMS provider, which is not supported yet")
	}
	selected, err := kube.Select(r.served, r.Resources)
	if err != nil {
		return err
	}
	for _, res := range selected {
		if rule := agreed.RuleFor(res.Name()); rule == nil || !rule.Encrypts() {
			return hint.Errorf("its objects are stored as they are, in plaintext",
				"resource %q is not encrypted by the configuration: there is nothing to migrate it to", res.Name())
		}
	}
	if err := r.room(ctx, r.View.ControlPlane, selected); err != nil {
		return err
	}
	steps := len(r.Resources)
	wait := operation.Step{Stage: string(plan.Await), Text: fmt.Sprintf("wait until %s loaded the file of its node", r.EveryInstance()), Ahead: steps}
	if err := r.Step(wait, func() (string, error) { return "", r.await(ctx) }); err != nil {
		return err
	}
	for i, res := range selected {
		rule := agreed.RuleFor(res.Name())
		text := fmt.Sprintf("migrate %s to key %s%s", res.Name(), rule.WriteKey(), r.engineText())
		err := r.Step(operation.Step{Stage: string(plan.Migrate), Text: text, Ahead: steps - 1 - i}, func() (string, error) {
			return r.migrateTo(ctx, rule.WriteKey(), *agreed, res)
		})
		if err != nil && !errors.Is(err, ErrFailedObjects) {
			return err
		}
	}
	_, err = r.verdict()
	return err
}

// migrateTo migrates one resource, by the baseline on record or, where there is none to rely on, by a new one.
func (r *Run) migrateTo(ctx context.Context, k encconfig.Key, agreed encconfig.Description, res kube.Resource) (string, error) {
	if err := r.adopt(ctx, k, agreed); err != nil {
		return "", err
	}
	if r.record.Migrations[res.Name()].Baseline == "" {
		if err := operation.Sleep(ctx, settleTime); err != nil {
			return "", err
		}
		if err := r.recordBaselines(ctx, []kube.Resource{res}); err != nil {
			return "", err
		}
	}
	if err := r.migrateOne(ctx, res); err != nil {
		return "", err
	}
	last := r.reports[len(r.reports)-1]
	if last.Failed > 0 {
		return "", fmt.Errorf("%d %w", last.Failed, ErrFailedObjects)
	}
	return fmt.Sprintf(": %d of %d migrated, the others are current", last.Migrated, last.Listed), nil
}

// adopt makes the record of the write key the run's own, or begins one.
func (r *Run) adopt(ctx context.Context, k encconfig.Key, agreed encconfig.Description) error {
	book, _, err := r.Ledger().Load(ctx)
	if err != nil {
		return err
	}
	if rec := book.Trusted(k, agreed.Digest); rec != nil && within(rec.LeftOut, r.leftOut()) { // who was left out has no baseline
		r.record = *rec
		return nil
	}
	now, err := r.Cluster.Now(ctx)
	if err != nil {
		return err
	}
	r.record = ledger.Rotation{
		ID: fmt.Sprintf("%s-%s-%s", r.ID, k.Provider, k.Name), By: r.By, From: agreed.WriteKeys(), To: k, Stage: stageMigrateOnly,
		StartTime: now, StartDigest: agreed.Digest, Config: &agreed, CompletionTime: &now,
	}
	record := r.record
	return r.Ledger().Update(ctx, func(l *ledger.Ledger) { l.Begin(record) })
}

// Reports are what the migrations of the run did.
func (r *Run) Reports() []migrate.Report { return r.reports }
