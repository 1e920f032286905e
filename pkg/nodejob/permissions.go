// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package nodejob

import (
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// Permissions are what running agents and talking to them needs.
func Permissions() []kube.Permission {
	ns := project.Namespace
	return []kube.Permission{
		{Verb: "create", Group: "batch", Resource: "jobs", Namespace: ns},
		{Verb: "delete", Group: "batch", Resource: "jobs", Namespace: ns},
		{Verb: "list", Group: "batch", Resource: "jobs", Namespace: ns},
		{Verb: "get", Resource: "pods", Subresource: "attach", Namespace: ns},
		{Verb: "create", Resource: "pods", Subresource: "attach", Namespace: ns},
		{Verb: "list", Resource: "events", Namespace: ns},
	}
}
