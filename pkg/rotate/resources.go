// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

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

// cantCount tells of an error of checkRoom that it is one of an object that can't be read, before a rollback to a key that no
// configuration has: the key is brought back for such objects, so they are no reason to refuse it.
func (r *Run) cantCount(o plan.Observed, err error) bool {
	return r.Mode == Rollback && unreadable(err) &&
		!slices.ContainsFunc(o.Nodes, func(n plan.Node) bool { return n.Config != nil && n.Config.Has(r.goal.Target) })
}

// unreadable tells whether a kube-apiserver could not decrypt what it was to list. It says so with a reason of its own
// (k8s.io/apiserver@v0.37.2 pkg/storage/etcd3/corrupt_obj_deleter.go), or as an internal error where the feature
// AllowUnsafeMalformedObjectDeletion is off (pkg/storage/etcd3/store.go).
func unreadable(err error) bool {
	return apierrors.IsStoreReadError(err) || apierrors.IsInternalError(err) && strings.Contains(err.Error(), "unable to transform key")
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
