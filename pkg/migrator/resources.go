// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrator

import (
	"slices"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
)

// Encrypted are the served resources that a configuration encrypts and that can be migrated, wildcards included.
// Aggregated are the groups that are stored elsewhere, see UsesWildcard.
func Encrypted(served []kube.Resource, d encconfig.Description, aggregated map[string]bool) []kube.Resource {
	return slices.DeleteFunc(slices.Clone(served), func(r kube.Resource) bool {
		rule := d.RuleFor(r.Name())
		return rule == nil || !rule.Encrypts() || !Storable(r, aggregated)
	})
}

// Storable tells whether a resource can be migrated, whatever its keys are. Events are not: each write would give them a new
// time to live, and they expire by themselves within it.
func Storable(r kube.Resource, aggregated map[string]bool) bool {
	return r.Migratable && !aggregated[r.GVR.Group] && !IsEvents(r.Name())
}

// IsEvents tells whether a resource is events, by either of their names.
func IsEvents(name string) bool { return name == "events" || name == "events.events.k8s.io" }

// UsesWildcard tells whether a configuration names resources by wildcard. Then it must be known which groups are stored
// elsewhere.
func UsesWildcard(d encconfig.Description) bool {
	return slices.ContainsFunc(d.Rules, func(rule encconfig.Rule) bool {
		return slices.ContainsFunc(rule.Resources, func(s string) bool { return strings.HasPrefix(s, "*") })
	})
}

// Names are the names of resources.
func Names(list []kube.Resource) []string {
	names := make([]string, len(list))
	for i, r := range list {
		names[i] = r.Name()
	}
	return names
}
