// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// Usage is which keys the values in etcd name, of all resources, as counted at one time.
type Usage struct {
	// Config is what was counted by, Verification what goes on record.
	Config       encconfig.Description
	Verification ledger.Verification
	// Needs are the keys that values name. Unknown says why it can't be told that they are all, empty if they are.
	Needs   []census.Need
	Unknown string
}

// The rules by which a key may leave, besides those of the plan:
//
//  1. It is asked for by name, or retention does not keep it. The write key of any rule never leaves, the one before it only by name.
//  2. Every value in etcd was counted, by the configuration that every kube-apiserver is proven to run, and none names the key.
//     Where that can't be told nothing leaves: for this there is no weaker proof.
//  3. No revision of etcd that may still be read is older than the time from which on nothing needed the key: two intervals of
//     compaction have passed since a finished migration away from it, or since a count of everything that found nothing under
//     it, as long as it has not written since. A key that no configuration has is read by nobody, and needs no such time.
//
// A backup of etcd needs the keys of its time, and no program knows of all backups. So a key that leaves stays in the histories
// of the nodes, unless it is named to be destroyed.

// dropping is what is known of a key that may leave.
type dropping struct {
	key encconfig.Key
	// objects are how many values name it, resources of what.
	objects   int64
	resources []string
	// free is when no revision that needs it can be read any more.
	free time.Time
}

// judge says of each key what the rules have to know. Since gives for a key from when on nothing needed it, by the record.
func (u Usage) judge(list []encconfig.Key, since func(encconfig.Key) time.Time, age time.Duration) []dropping {
	all := make([]dropping, len(list))
	for i, k := range list {
		d := dropping{key: k}
		for _, n := range u.Needs {
			if n.Others || k.Is(n.Key) {
				d.objects += n.Objects
				d.resources = append(d.resources, n.Resources...)
			}
		}
		slices.Sort(d.resources)
		d.resources = slices.Compact(d.resources)
		if u.Config.Has(k) {
			d.free = since(k).Add(age)
		}
		all[i] = d
	}
	return all
}

// told is a sentence on a key that stays.
func (d dropping) told(now time.Time) string {
	if d.objects > 0 {
		return fmt.Sprintf("key %s is needed: %s value(s) in etcd are stored with it, of %s", d.key, census.Number(d.objects), strings.Join(d.resources, ", "))
	}
	return fmt.Sprintf("nothing is stored with key %s, but revisions of etcd that were superseded may be; they are compacted by %s, in %s",
		d.key, d.free.UTC().Format("15:04:05 MST"), d.free.Sub(now).Round(time.Second))
}

// refusal is why a key that was asked for by name stays, nil if it may leave. Served are the resources that can be migrated.
func (d dropping) refusal(now time.Time, served []string) error {
	switch {
	case d.objects > 0:
		hints := append(storeAgain(d.resources, served), "see which they are with: "+project.Command+" verify --all --resources '*.*'")
		return hint.New(fmt.Errorf("%s", d.told(now)), hints...)
	case now.Before(d.free):
		return hint.New(fmt.Errorf("%s", d.told(now)), "have that awaited with --wait, or run the same command then")
	}
	return nil
}

// storeAgain says how values come under the write key. Those of a resource that is not served, as after its definition was
// deleted, no migration reaches.
func storeAgain(resources, served []string) (hints []string) {
	var here, gone []string
	for _, name := range resources {
		if slices.Contains(served, name) {
			here = append(here, name)
		} else {
			gone = append(gone, name)
		}
	}
	if len(here) > 0 {
		hints = append(hints, "store what can be read with the write key: "+project.Command+" migrate --resources "+strings.Join(here, ","))
	}
	if len(gone) > 0 {
		hints = append(hints, fmt.Sprintf("no migration reaches %s, which the API server does not serve: have it served again, as by its CustomResourceDefinition, "+
			"and migrate or delete the objects", strings.Join(gone, ", ")))
	}
	return hints
}

// named are the keys of a configuration or of the histories that names stand for: PROVIDER/NAME, or NAME where that is one.
func named(names []string, known []encconfig.Key) ([]encconfig.Key, error) {
	var list []encconfig.Key
	for _, name := range names {
		var found []encconfig.Key
		for _, k := range known {
			if (k.String() == name || k.Name == name) && k.Provider.Local() && !slices.ContainsFunc(found, k.Is) {
				found = append(found, k)
			}
		}
		switch {
		case len(found) == 0:
			return nil, hint.Errorf("see what there is with: "+project.Command+" history", "no node has a key %s", name)
		case len(found) > 1:
			return nil, fmt.Errorf("key %s is not one: %s", name, encconfig.KeyNames(found))
		case !slices.ContainsFunc(list, found[0].Is):
			list = append(list, found[0])
		}
	}
	return list, nil
}

// checkDropped refuses what can't leave whatever is counted.
func checkDropped(list []encconfig.Key, agreed encconfig.Description) error {
	for _, k := range list {
		for _, rule := range agreed.Rules {
			if rule.WriteKey().Is(k) {
				return hint.Errorf("rotate to a new key first, with: "+project.Command+" rotate", "key %s is the write key of %s", k, strings.Join(rule.Resources, ", "))
			}
		}
	}
	return nil
}

// candidates are the keys that the run is about: those that were named, or those that retention lets go.
func (r *Run) candidates(agreed encconfig.Description, known []encconfig.Key) ([]encconfig.Key, error) {
	if len(r.Keys) == 0 {
		return plan.Candidates(agreed, r.Keep), nil
	}
	list, err := named(r.Keys, append(agreed.Keys(), known...))
	if err != nil {
		return nil, err
	}
	if err := checkDropped(list, agreed); err != nil || !r.Forget {
		return list, err
	}
	return list, checkForgettable(r.Files, list)
}
