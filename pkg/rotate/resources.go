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
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

func (r *Run) encrypted(d encconfig.Description) []kube.Resource {
	return migrator.Encrypted(r.served, d, r.aggregated)
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
	return r.room(ctx, r.View.ControlPlane, r.rewritten(o))
}

// storable tells whether a resource can be migrated, whatever its keys are.
func (r *Run) storable(res kube.Resource) bool {
	return migrator.Storable(res, r.aggregated)
}

// checkResources finds out what the server serves, and that the resources the user named are among it.
func (r *Run) checkResources(ctx context.Context) error {
	served, err := r.Cluster.Resources(ctx)
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
	list := append(operation.Permissions(), r.Migration.Permissions()...)
	if len(r.Ignore) > 0 {
		list = append(list, observe.LeaveOutPermissions()...)
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

func migration(group, resource string) []kube.Permission {
	return []kube.Permission{
		{Verb: "list", Group: group, Resource: resource}, {Verb: "patch", Group: group, Resource: resource},
	}
}

// checkMigration is asked once the configuration is known: may every encrypted resource be migrated?
func (r *Run) checkMigration(ctx context.Context, d encconfig.Description) error {
	asked := encconfig.Rule{Resources: slices.Concat(r.Resources, r.goal.Resources)}
	if migrator.UsesWildcard(d) || migrator.UsesWildcard(encconfig.Description{Rules: []encconfig.Rule{asked}}) {
		groups, err := r.Cluster.AggregatedGroups(ctx)
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
	return r.Cluster.CheckAccess(ctx, list)
}
