// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/term"
)

// verified says when etcd was counted last and what that came to. It is no proof of what is now, and says so where the
// configuration is another one since.
func verified(v *v1alpha1.VerificationStatus) string {
	if v == nil {
		return "never"
	}
	values := fmt.Sprintf("%s values of %s", census.Number(v.Objects), verifiedNames(v))
	what := map[string]string{
		v1alpha1.Clean: "clean: " + values, v1alpha1.Unproven: "unproven: " + values + ", and not everything could be looked at",
		v1alpha1.Found: fmt.Sprintf("found: %s of %s not as configured", census.Number(v.NotAsConfigured), values),
	}[v.Outcome]
	text := fmt.Sprintf("%s, %s (etcd revision %d)", ago(v.Time.Time), what, v.Revision)
	switch {
	case !v.SameConfiguration:
		return text + ", before the last change of the configuration"
	case v.MigratedSince:
		return text + ", before the last migration"
	}
	return text
}

func verifiedNames(v *v1alpha1.VerificationStatus) string {
	const shown = 3
	switch {
	case v.Everything:
		return "all resources"
	case len(v.Resources) > shown:
		return fmt.Sprintf("%s and %d more", term.Escape(strings.Join(v.Resources[:shown], ", ")), len(v.Resources)-shown)
	}
	return term.Escape(strings.Join(v.Resources, ", "))
}
