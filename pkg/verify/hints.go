// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// hints are what may be done next (rule 7).
func hints(r Result, v census.Verdict) []string {
	switch {
	case r.surveyed() && len(census.Needs(r.Census)) > 0:
		return []string{"--config FILE tells whether a configuration has these keys, and --decrypt whether they fit"}
	case r.surveyed():
		return nil
	case r.Source.File != "":
		return afterRestore(r)
	case r.bare() && v.Outcome == census.Found:
		return append(bare(r), unreadable(r)...)
	}
	return slices.Concat(readable(r), unreadable(r))
}

// bare is for a cluster without a configuration.
func bare(r Result) []string {
	if len(keysOf(r, census.Missing)) > 0 {
		return []string{"if encryption was on before, the kube-apiservers have lost their flags (docs/recovery.md, \"kubeadm upgrade has taken the flags out\")"}
	}
	return []string{project.Command + " enable encrypts Secrets and ConfigMaps"}
}

// afterRestore is for a file: nothing can be changed in it.
func afterRestore(r Result) []string {
	var list []string
	if keys := keysOf(r, census.Missing); len(keys) > 0 {
		list = append(list, fmt.Sprintf("a cluster that is restored from this needs %s as well: look in the files of its control-plane nodes, "+
			"%s/*.yaml and those in %s", strings.Join(keys, ", "), project.NodeHistoryDir, project.DefaultConfigDir))
	}
	if stale := where(r, migratable); len(stale) > 0 {
		list = append(list, fmt.Sprintf("in a cluster that is restored from this, %s migrate --resources %s stores again what it can read",
			project.Command, strings.Join(stale, ",")))
	}
	return list
}

// readable is about what can be stored again.
func readable(r Result) []string {
	stale := where(r, migratable)
	var list []string
	if at := slices.Index(stale, "events"); at >= 0 {
		list = append(list, "events are not migrated: they expire by themselves, after an hour unless --event-ttl says otherwise")
		stale = slices.Delete(stale, at, at+1)
	}
	if len(stale) == 0 {
		return list
	}
	return append([]string{
		fmt.Sprintf("%s migrate --resources %s stores what can be read again", project.Command, strings.Join(stale, ",")),
		fmt.Sprintf("%s rotate --resume does so where a rotation has not ended; see %s status", project.Command, project.Command),
	}, list...)
}

// migratable is what a migration stores again.
func migratable(g census.Group) bool {
	return g.State == census.Stale || g.State == census.Plaintext && g.Readable
}

// unreadable is about what nobody can read now, what deletes at the end.
func unreadable(r Result) []string {
	var list []string
	if plain := where(r, func(g census.Group) bool { return g.State == census.Plaintext && !g.Readable }); len(plain) > 0 {
		list = append(list, fmt.Sprintf("plaintext of %s can be read again once \"identity: {}\" stands behind the other providers of its rule, on every node; then migrate",
			strings.Join(plain, ", ")))
	}
	if keys := keysOf(r, census.Missing); len(keys) > 0 {
		list = append(list, fmt.Sprintf("%s would be needed behind the other keys of the rule, on every node: look for it in %s/*.yaml on the control-plane nodes and in backups "+
			"(docs/recovery.md, \"An object can not be decrypted\"); then migrate", strings.Join(keys, ", "), project.NodeHistoryDir))
	}
	if where := where(r, func(g census.Group) bool { return g.State == census.Undecryptable }); len(where) > 0 {
		list = append(list, fmt.Sprintf("what a key does not open may be under another key of the same name: compare the configurations of all control-plane nodes, "+
			"and look in %s/*.yaml on each, before anything is given up", project.NodeHistoryDir))
	}
	if resource, name, ok := hopeless(r); ok {
		list = append(list, "what no key opens can only be restored from a backup of etcd, or be deleted unread, at a server that has it (Kubernetes 1.37, before with the "+
			"feature gate AllowUnsafeMalformedObjectDeletion) and with the verb unsafe-delete-ignore-read-errors on the resource; finalizers are passed over",
			unsafeDelete(resource, name))
	}
	return list
}

// hopeless is the first object that can't be read whoever tries: damaged beyond any key, or under a key that nobody has. Where
// not every node was asked, one may have it; where there is no configuration, one was there before; and what the key of its
// name does not open may be under another one of that name.
func hopeless(r Result) (resource, name string, ok bool) {
	if r.bare() {
		return "", "", false
	}
	for _, t := range r.Census.Tallies {
		if t.Resource == Unfamiliar {
			continue
		}
		for _, g := range t.Groups {
			nowhere := g.State == census.Missing && r.Held != nil && !r.Config.Has(g.NamedKey()) && !slices.ContainsFunc(r.Held, g.NamedKey().Is)
			switch {
			case g.Others, g.Provider == encconfig.KMS, !nowhere && g.State != census.Undecodable:
			case len(g.Names) == 0:
				return t.Resource, "", true
			default:
				return t.Resource, g.Names[0], true
			}
		}
	}
	return "", "", false
}

// unsafeDelete is the command that deletes an object without reading it. kubectl has no flag for that, so the options go as they
// are (k8s.io/apimachinery@v0.37.2 pkg/apis/meta/v1/types.go, IgnoreStoreReadErrorWithClusterBreakingPotential;
// k8s.io/apiserver@v0.37.2 pkg/endpoints/handlers/delete.go).
func unsafeDelete(resource, name string) string {
	plural, group, _ := strings.Cut(resource, ".")
	path := "/api/v1"
	if group != "" {
		path = "/apis/" + group + "/VERSION"
	}
	namespace, object, namespaced := strings.Cut(name, "/")
	switch {
	case !plainName.MatchString(name):
		path += "/namespaces/NAMESPACE/" + plural + "/NAME"
	case namespaced:
		path += "/namespaces/" + namespace + "/" + plural + "/" + object
	default:
		path += "/" + plural + "/" + name
	}
	return "echo '{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"ignoreStoreReadErrorWithClusterBreakingPotential\":true}' | kubectl delete --raw " + path + " -f -"
}

// plainName is a name that can stand in a command as it is.
var plainName = regexp.MustCompile(`^([a-z0-9][a-z0-9.-]*/)?[a-z0-9][a-z0-9.:-]*$`)

// where are the resources that have such a group, for a command.
func where(r Result, wanted func(census.Group) bool) []string {
	var list []string
	for _, t := range r.Census.Tallies {
		if slices.ContainsFunc(t.Groups, wanted) && t.Resource != Unfamiliar {
			list = append(list, t.Resource)
		}
	}
	return list
}

// keysOf names up to three keys of a state.
func keysOf(r Result, state census.State) []string {
	const most = 3
	var list []string
	for _, t := range r.Census.Tallies {
		for _, g := range t.Groups {
			key := encconfig.Key{Provider: g.Provider, Name: g.Key}.String()
			if g.State == state && !g.Others && !slices.Contains(list, key) {
				list = append(list, key)
			}
		}
	}
	if len(list) > most {
		return append(list[:most], fmt.Sprintf("%d more", len(list)-most))
	}
	return list
}
