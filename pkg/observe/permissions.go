// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// Permissions are what looking at a cluster needs, which is all that status does.
func Permissions() []kube.Permission {
	ns := project.Namespace
	return []kube.Permission{
		{Verb: "list", Resource: "nodes"},
		{Verb: "list", Resource: "pods", Namespace: ns},
		{Verb: "get", Resource: "pods", Subresource: "portforward", Namespace: ns},
		{Verb: "create", Resource: "pods", Subresource: "portforward", Namespace: ns},
		{Verb: "get", Path: "/metrics"},
		{Verb: "list", Group: "coordination.k8s.io", Resource: "leases", Namespace: ns},
		{Verb: "list", Group: "discovery.k8s.io", Resource: "endpointslices", Namespace: "default"},
		{Verb: "get", Resource: "configmaps", Namespace: ns},
	}
}

// LeaveOutPermissions are what an observer needs that is to ignore nodes, besides.
func LeaveOutPermissions() []kube.Permission {
	return []kube.Permission{{Verb: "list", Group: "coordination.k8s.io", Resource: "leases", Namespace: controlplane.NodeLeases}}
}
