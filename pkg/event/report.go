// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package event

import "github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"

// MigrationReported carries the report of a migration, complete or not. It comes before the last event.
type MigrationReported struct {
	Report *v1alpha1.MigrationReport `json:"report"`
}

// Kind implements Event.
func (MigrationReported) Kind() string { return "migration-report" }
