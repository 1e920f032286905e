// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
)

// allResources is the wildcard for everything.
const allResources = "*.*"

// choose finds out which resources to count: those that were asked for, or those that the configuration has keys for, be it to
// read alone, or else Secrets. Aggregated gives the groups that are stored elsewhere, and is asked only for a wildcard.
//
// All resources at once are told by the keys in etcd, whether they are served or not. The wildcard for a group stands for
// what is served of it. A resource that the configuration names is counted also if it is not served any more; one that
// was asked for has to be served, so that nobody takes a misspelling for proof.
func (t *tour) choose(served []kube.Resource, aggregated func() (map[string]bool, error)) error {
	configured := keyed(t.config)
	names := t.Resources
	if len(names) == 0 {
		names = configured
	}
	if len(names) == 0 {
		names = []string{"secrets"}
	}
	if slices.Contains(names, allResources) && !slices.ContainsFunc(t.etcd.Overrides, func(o string) bool { return o != "" }) {
		t.resources = []etcdkey.Resource{{}}
		return nil
	}
	if slices.Contains(names, allResources) {
		t.note("some resources are in another etcd (--etcd-servers-overrides), so for *.* what the server serves was looked at alone")
	}
	for _, name := range names {
		if strings.HasPrefix(name, "*") {
			groups, err := aggregated()
			if err != nil {
				return fmt.Errorf("the resources are named by wildcard: %w", err)
			}
			if err := t.expand(name, served, groups); err != nil {
				return err
			}
			continue
		}
		at := slices.IndexFunc(served, func(r kube.Resource) bool { return r.Name() == name })
		if !slices.Contains(configured, name) && (at < 0 || !served[at].Migratable) {
			return notServed(name)
		}
		if err := t.add(name, served, at); err != nil {
			return err
		}
	}
	return nil
}

// checkNames refuses a name that can't be anything's before an agent is started: one that the server does not serve, unless a
// configuration might name it. That may be so only of a group that is not served any more: the core group always is. What
// the configuration has is known to choose.
func checkNames(names []string, served []kube.Resource, configured bool) error {
	for _, name := range names {
		if strings.HasPrefix(name, "*") || configured && strings.Contains(name, ".") {
			continue
		}
		if !slices.ContainsFunc(served, func(r kube.Resource) bool { return r.Name() == name && r.Migratable }) {
			return notServed(name)
		}
	}
	return nil
}

func notServed(name string) error {
	return hint.Errorf("kubectl api-resources lists what is served; a group is written behind a dot: deployments.apps",
		"the server does not serve and store a resource %q", name)
}

// expand adds what a wildcard stands for.
func (t *tour) expand(pattern string, served []kube.Resource, aggregated map[string]bool) error {
	rule := encconfig.Rule{Resources: []string{pattern}}
	for i, r := range served {
		if !r.Migratable || aggregated[r.GVR.Group] || !rule.Covers(r.Name()) {
			continue
		}
		if err := t.add(r.Name(), served, i); err != nil {
			return err
		}
	}
	return nil
}

// add adds a resource, once.
func (t *tour) add(name string, served []kube.Resource, at int) error {
	r, err := etcdkey.ParseResource(name)
	if err != nil {
		return err
	}
	if at >= 0 {
		if r.Scope = etcdkey.ClusterScoped; served[at].Namespaced {
			r.Scope = etcdkey.Namespaced
		}
	}
	if !slices.ContainsFunc(t.resources, func(other etcdkey.Resource) bool { return other.Name == r.Name }) {
		t.resources = append(t.resources, r)
	}
	return nil
}

// keyed are the resources, as written, of the rules that have keys, be it to read alone.
func keyed(d encconfig.Description) (patterns []string) {
	for _, rule := range d.Rules {
		if slices.ContainsFunc(rule.Keys, func(k encconfig.Key) bool { return k.Provider != encconfig.Identity }) {
			patterns = append(patterns, rule.Resources...)
		}
	}
	return patterns
}
