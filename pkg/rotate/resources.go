// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// Encrypted are the served resources that a configuration encrypts and that can be migrated, wildcards included.
// Events are left out: each write would give them a new time to live, and they expire by themselves within it.
func Encrypted(served []kube.Resource, d encconfig.Description, aggregated map[string]bool) []kube.Resource {
	return slices.DeleteFunc(slices.Clone(served), func(r kube.Resource) bool {
		rule := d.RuleFor(r.Name())
		return !r.Migratable || rule == nil || !rule.Encrypts() || aggregated[r.GVR.Group] ||
			isEvents(r.Name())
	})
}

func (r *Run) encrypted(d encconfig.Description) []kube.Resource {
	return Encrypted(r.served, d, r.aggregated)
}

// covered are the served resources that the goal has migrated in the end.
func (r *Run) covered(d encconfig.Description) []kube.Resource {
	return slices.DeleteFunc(slices.Clone(r.served), func(res kube.Resource) bool {
		return !r.storable(res) || !r.goal.Covers(d, res.Name())
	})
}

// checkRoom refuses a goal whose migration etcd has no room for, before anything is changed. What has begun is not
// refused: it pauses where room is short.
func (r *Run) checkRoom(ctx context.Context, o plan.Observed) error {
	return r.room(ctx, r.view.ControlPlane, r.rewritten(o))
}

// storable tells whether a resource can be migrated, whatever its keys are.
func (r *Run) storable(res kube.Resource) bool {
	return res.Migratable && !r.aggregated[res.GVR.Group] && !isEvents(res.Name())
}

func isEvents(name string) bool { return name == "events" || name == "events.events.k8s.io" }

func resourceNames(list []kube.Resource) []string {
	names := make([]string, len(list))
	for i, r := range list {
		names[i] = r.Name()
	}
	return names
}

// checkResources finds out what the server serves, and that the resources the user named are among it.
func (r *Run) checkResources(ctx context.Context) error {
	served, err := r.cluster.Resources(ctx)
	if err != nil {
		return err
	}
	r.served = served
	if r.Mode == Disable {
		return r.checkPatterns() // what is not served any more may be in the configuration
	}
	var named []string
	for _, name := range r.Resources {
		if !r.changesFlags() || !strings.HasPrefix(name, "*") {
			named = append(named, name)
		}
	}
	if r.changesFlags() {
		if err := r.checkPatterns(); err != nil {
			return err
		}
	}
	_, err = kube.Select(served, named)
	return err
}

// permissions is all that the run will do.
func (r *Run) permissions() []kube.Permission {
	list := append(Permissions(), r.Migration.Permissions()...)
	if len(r.Ignore) > 0 {
		list = append(list, LeaveOutPermissions()...)
	}
	for _, name := range r.Resources {
		if strings.HasPrefix(name, "*") {
			continue // asked when it is known what it stands for
		}
		resource, group, _ := strings.Cut(name, ".")
		list = append(list, migration(group, resource)...)
	}
	return list
}

// Permissions are what a change needs on every cluster; migrating a resource needs list and patch on it besides.
func Permissions() []kube.Permission {
	ns := project.Namespace
	return append(ReadPermissions(),
		kube.Permission{Verb: "create", Group: "batch", Resource: "jobs", Namespace: ns},
		kube.Permission{Verb: "delete", Group: "batch", Resource: "jobs", Namespace: ns},
		kube.Permission{Verb: "list", Group: "batch", Resource: "jobs", Namespace: ns},
		kube.Permission{Verb: "get", Resource: "pods", Subresource: "attach", Namespace: ns},
		kube.Permission{Verb: "create", Resource: "pods", Subresource: "attach", Namespace: ns},
		kube.Permission{Verb: "list", Resource: "events", Namespace: ns},
		kube.Permission{Verb: "create", Resource: "configmaps", Namespace: ns},
		kube.Permission{Verb: "update", Resource: "configmaps", Namespace: ns},
		kube.Permission{Verb: "get", Group: "coordination.k8s.io", Resource: "leases", Namespace: ns},
		kube.Permission{Verb: "create", Group: "coordination.k8s.io", Resource: "leases", Namespace: ns},
		kube.Permission{Verb: "update", Group: "coordination.k8s.io", Resource: "leases", Namespace: ns},
		kube.Permission{Verb: "delete", Group: "coordination.k8s.io", Resource: "leases", Namespace: ns},
	)
}

// ReadPermissions are what status needs.
func ReadPermissions() []kube.Permission {
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

func migration(group, resource string) []kube.Permission {
	return []kube.Permission{
		{Verb: "list", Group: group, Resource: resource}, {Verb: "patch", Group: group, Resource: resource},
	}
}

// checkMigration is asked once the configuration is known: may every encrypted resource be migrated?
func (r *Run) checkMigration(ctx context.Context, d encconfig.Description) error {
	asked := encconfig.Rule{Resources: slices.Concat(r.Resources, r.goal.Resources)}
	if UsesWildcard(d) || UsesWildcard(encconfig.Description{Rules: []encconfig.Rule{asked}}) {
		groups, err := r.cluster.AggregatedGroups(ctx)
		if err != nil {
			return fmt.Errorf("the configuration uses wildcards: %w", err)
		}
		r.aggregated = groups
	}
	var list []kube.Permission
	for _, res := range r.served {
		if rule := d.RuleFor(res.Name()); r.storable(res) && (rule != nil && rule.Encrypts() || r.changesFlags() && asked.Covers(res.Name())) {
			list = append(list, migration(res.GVR.Group, res.GVR.Resource)...)
		}
	}
	return r.cluster.CheckAccess(ctx, list)
}

// UsesWildcard tells whether a configuration names resources by wildcard.
func UsesWildcard(d encconfig.Description) bool {
	return slices.ContainsFunc(d.Rules, func(rule encconfig.Rule) bool {
		return slices.ContainsFunc(rule.Resources, func(s string) bool { return strings.HasPrefix(s, "*") })
	})
}
