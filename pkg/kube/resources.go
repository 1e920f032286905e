// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
)

// Resource is a resource that the cluster serves and that can be migrated.
type Resource struct {
	GVR        schema.GroupVersionResource
	Kind       string
	Namespaced bool
	// Migratable is false for what can't be listed and patched.
	Migratable bool
}

// Name is the resource as EncryptionConfiguration writes it: "secrets", "deployments.apps".
func (r Resource) Name() string { return r.GVR.GroupResource().String() }

// Resources lists what the cluster serves, each resource once in its preferred version, sorted by name.
func (c *Cluster) Resources(ctx context.Context) ([]Resource, error) {
	var lists []*metav1.APIResourceList
	err := Shortly(ctx, func(context.Context) (err error) {
		lists, err = c.Discovery.ServerPreferredResources()
		if partial := (*discovery.ErrGroupDiscoveryFailed)(nil); errors.As(err, &partial) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("discover resources: %w", err)
	}
	var found []Resource
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("discover resources: %w", err)
		}
		for _, r := range list.APIResources {
			if !strings.Contains(r.Name, "/") {
				found = append(found, resource(gv, r))
			}
		}
	}
	slices.SortFunc(found, func(a, b Resource) int { return cmp.Compare(a.Name(), b.Name()) })
	return slices.CompactFunc(found, func(a, b Resource) bool { return a.Name() == b.Name() }), nil
}

func resource(gv schema.GroupVersion, r metav1.APIResource) Resource {
	return Resource{
		GVR: gv.WithResource(r.Name), Kind: r.Kind, Namespaced: r.Namespaced,
		Migratable: slices.Contains(r.Verbs, "list") && slices.Contains(r.Verbs, "patch"),
	}
}

// Select finds resources by the names that a user typed: "secrets", "deployments.apps".
func Select(served []Resource, names []string) ([]Resource, error) {
	var selected []Resource
	for _, name := range names {
		at := slices.IndexFunc(served, func(r Resource) bool { return r.Name() == name })
		switch {
		case at < 0:
			return nil, hint.Errorf("kubectl api-resources lists what is served; a group is written behind a dot: deployments.apps",
				"the server does not serve a resource %q", name)
		case !served[at].Migratable:
			return nil, fmt.Errorf("objects of %q can't be listed and patched, so they can't be migrated", name)
		case !slices.ContainsFunc(selected, func(r Resource) bool { return r.Name() == name }):
			selected = append(selected, served[at])
		}
	}
	return selected, nil
}
