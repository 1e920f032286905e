// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/nodejob"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// Permissions are what an operation needs on every cluster; migrating a resource needs list and patch on it besides.
func Permissions() []kube.Permission {
	ns := project.Namespace
	return append(slices.Concat(observe.Permissions(), nodejob.Permissions()),
		kube.Permission{Verb: "create", Resource: "configmaps", Namespace: ns},
		kube.Permission{Verb: "update", Resource: "configmaps", Namespace: ns},
		kube.Permission{Verb: "get", Group: "coordination.k8s.io", Resource: "leases", Namespace: ns},
		kube.Permission{Verb: "create", Group: "coordination.k8s.io", Resource: "leases", Namespace: ns},
		kube.Permission{Verb: "update", Group: "coordination.k8s.io", Resource: "leases", Namespace: ns},
		kube.Permission{Verb: "delete", Group: "coordination.k8s.io", Resource: "leases", Namespace: ns},
	)
}
