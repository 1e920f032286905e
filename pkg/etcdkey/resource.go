// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdkey

import (
	"fmt"
	"regexp"
	"strings"
)

// Scope tells whether the objects of a resource are in namespaces.
type Scope string

// The scopes.
const (
	// AnyScope is that it is not known: a key with one part after the resource's is an object without a namespace, one
	// with two parts an object in one.
	AnyScope      Scope = ""
	Namespaced    Scope = "Namespaced"
	ClusterScoped Scope = "Cluster"
)

// Resource is what decides where a resource is stored.
type Resource struct {
	// Name as EncryptionConfiguration writes it: "secrets", "deployments.apps".
	Name string
	// Grouped is that the group is part of the path (rule 3): true for every custom resource.
	Grouped bool
	// Scope of its objects.
	Scope Scope
}

// namePattern is a resource with its group: labels of DNS.
var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

// maxName is the length in bytes of the longest name: a label of DNS, a dot and a subdomain.
const maxName = 63 + 1 + 253

// ParseResource reads the name of a resource. Whether its group is part of the path follows from the group, and its scope
// is that of Kubernetes 1.37 or AnyScope; who has asked the API server sets both to what it says. Wildcards are
// refused: they are no place. The name is that of rule 5: that of the resource as it is stored.
func ParseResource(name string) (Resource, error) {
	if len(name) > maxName || !namePattern.MatchString(name) {
		return Resource{}, fmt.Errorf("%.80q is not the name of a resource, such as secrets or deployments.apps", name)
	}
	if name == "events.events.k8s.io" {
		name = "events"
	}
	resource, group, _ := strings.Cut(name, ".")
	if !builtInGroup(group) {
		return grouped(name), nil
	}
	r := Resource{Name: name}
	if its, scope, ok := builtIn(resource); ok && its == group {
		r.Scope = scope
	}
	return r, nil
}

// grouped is a resource whose group is part of its path. Only of kube-apiserver's own two the scope is known.
func grouped(name string) Resource {
	r := Resource{Name: name, Grouped: true}
	if name == "apiservices.apiregistration.k8s.io" || name == "customresourcedefinitions.apiextensions.k8s.io" {
		r.Scope = ClusterScoped
	}
	return r
}

// split gives the resource and its group, "" for the core group.
func (r Resource) split() (resource, group string) {
	resource, group, _ = strings.Cut(r.Name, ".")
	return resource, group
}

// named is the resource of a group as EncryptionConfiguration writes it.
func named(resource, group string) string {
	if group == "" {
		return resource
	}
	return resource + "." + group
}

// folder is the path of the resource below the root, without slashes at its ends.
func (r Resource) folder() string {
	resource, group := r.split()
	if r.Grouped {
		return group + "/" + resource
	}
	return folderOf(resource)
}
