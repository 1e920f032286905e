// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrator

import (
	"context"
	"fmt"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/admission"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// canaries are the namespaces in which a webhook will be asked about each object. It is a help and no duty: who may not
// look at the webhooks, or gets no answer, goes without, and is told.
func (m *Migrator) canaries(ctx context.Context, res kube.Resource) []string {
	var namespaces []string
	err := kube.Retry(ctx, func(ctx context.Context) error {
		webhooks, err := admission.Load(ctx, m.cluster.Typed)
		if err != nil {
			return err
		}
		matching := webhooks.Matching(res.GVR, res.Namespaced)
		if len(matching) == 0 || !res.Namespaced {
			return nil
		}
		all, err := admission.ListNamespaces(ctx, m.cluster.Metadata)
		namespaces = admission.Namespaces(matching, all)
		return err
	})
	if err != nil && ctx.Err() == nil {
		m.once(fmt.Sprintf("whether a webhook will stand in the way can't be tried before: %v", err))
	}
	return namespaces
}

// warnOfCanary tells of a canary that failed, once for each cause: the others are in the report.
func (m *Migrator) warnOfCanary(c migrate.Canary) {
	key := fmt.Sprint(c.Resource, c.Cause())
	if m.told[key] {
		return
	}
	m.told[key] = true
	m.emit(event.Warning{Text: canaryText(c)})
}

// canaryText says what stands in the way of an object, and what happens to the others.
func canaryText(c migrate.Canary) string {
	by := ""
	switch {
	case c.Webhook != "":
		by = " by webhook " + hint.OneLine(c.Webhook)
	case c.Policy != "":
		by = " by policy " + hint.OneLine(c.Policy)
	}
	return fmt.Sprintf("tried first, %s %s can't be migrated: %s%s: %s; the others are tried all the same",
		c.Resource, hint.OneLine(c.Object()), c.Reason, by, strings.TrimSuffix(hint.OneLine(c.Message), "."))
}
