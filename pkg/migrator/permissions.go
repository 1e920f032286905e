// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrator

import "github.com/kubectl-encryption/kubectl-encryption/pkg/kube"

const (
	svmGroup    = "storagemigration.k8s.io"
	svmResource = "storageversionmigrations"
)

// Permissions are what the chosen engine needs besides list and patch on the resources.
func (s Settings) Permissions() []kube.Permission {
	if s.Engine != SVM {
		return nil
	}
	var list []kube.Permission
	for _, verb := range []string{"create", "get", "list", "delete"} {
		list = append(list, kube.Permission{Verb: verb, Group: svmGroup, Resource: svmResource})
	}
	return list
}

// Courtesies are permissions that a migration does without where they are missing: to know the webhooks that will be in
// the way, and somebody else's migration.
func Courtesies() []kube.Permission {
	const webhooks = "admissionregistration.k8s.io"
	return []kube.Permission{
		{Verb: "list", Group: webhooks, Resource: "validatingwebhookconfigurations"},
		{Verb: "list", Group: webhooks, Resource: "mutatingwebhookconfigurations"},
		{Verb: "list", Resource: "namespaces"},
		{Verb: "list", Group: svmGroup, Resource: svmResource},
	}
}
