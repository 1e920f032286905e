// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

// world is a model of a control plane on which encryption is turned on, changed and turned off, killed anywhere and
// gone on with, while kube-apiservers reload, restart and write when they like.
type world struct {
	t     *rapid.T
	hosts []*host
	// stored are the keys that values of a resource need, superseded those that only old revisions of it need.
	stored, superseded map[string]map[encconfig.Key]bool
	// progress towards the goal that is under way; the record of it may be lost.
	progress plan.Progress
	aged     bool
	kubeadm  plan.Flags
	highest  uint64
	// counted is what the run has counted, refuted whether a count has voided the goal's migration, forbidden whether the last
	// count found what forbids the removal of flags.
	counted            *plan.Counted
	refuted, forbidden bool
}

// host is a node. Its kube-apiserver runs with loaded as long as it has flags, and changes as long as it is edited.
type host struct {
	name         string
	file, loaded *encconfig.Description
	flags        plan.Flags
	edited       bool
	wanted       plan.Flags
	history      []encconfig.Description
}

var identity = encconfig.Key{Provider: encconfig.Identity}

// kinds are the resources that are stored.
func kinds() []string {
	return []string{"secrets", "configmaps", "deployments.apps", "daemonsets.apps"}
}

// chain are the keys that a kube-apiserver tries for a resource, the first one for writing.
func (h *host) chain(resource string, d *encconfig.Description) []encconfig.Key {
	if h.flags == plan.FlagsUnset || d == nil || d.RuleFor(resource) == nil {
		return []encconfig.Key{identity}
	}
	return d.RuleFor(resource).Keys
}

func (w *world) observe(g plan.Goal) plan.Observed {
	o := plan.Observed{Progress: w.progress, Aged: w.aged, Counted: w.counted}
	o.KubeadmStale = g.Flags == plan.SetFlags && w.kubeadm != plan.FlagsSet || g.Flags == plan.RemoveFlags && w.kubeadm != plan.FlagsUnset
	for _, h := range w.hosts {
		n := plan.Node{Name: h.name, Missing: h.file == nil, Flags: h.flags, Edited: h.edited, History: h.history}
		if h.file != nil {
			config := *h.file
			n.Config = &config
		}
		if h.loaded != nil && h.flags != plan.FlagsUnset {
			n.Loaded = h.loaded.Digest
		}
		o.Nodes = append(o.Nodes, n)
	}
	return o
}

// check holds every stored value against every kube-apiserver, as it runs and as it would run after a restart.
func (w *world) check() {
	for _, values := range []map[string]map[encconfig.Key]bool{w.stored, w.superseded} {
		for resource, needed := range values {
			for k := range needed {
				for _, h := range w.hosts {
					for _, d := range []*encconfig.Description{h.loaded, h.file} {
						if !slices.ContainsFunc(h.chain(resource, d), k.Is) {
							w.t.Fatalf("a value of %s under %s is not readable on %s", resource, k, h.name)
						}
					}
				}
			}
		}
	}
}

func (w *world) happen() {
	for range rapid.IntRange(0, 3).Draw(w.t, "events") {
		h := w.hosts[rapid.IntRange(0, len(w.hosts)-1).Draw(w.t, "host")]
		switch rapid.SampledFrom([]string{"reload", "restart", "write", "write", "guard", "age", "plant"}).Draw(w.t, "event") {
		case "reload":
			if h.flags == plan.FlagsSet {
				h.loaded = h.file
			}
		case "restart":
			if h.flags != plan.FlagsUnset {
				h.loaded = h.file
			}
		case "write":
			for _, resource := range kinds() {
				k := h.chain(resource, h.loaded)[0]
				w.stored[resource][encconfig.Key{Provider: k.Provider, Name: k.Name}] = true
			}
		case "guard":
			w.finishEdit(h)
		case "age":
			if w.progress.Migrated {
				clear(w.superseded)
				w.aged = true
			}
		case "plant":
			w.plant(h)
		}
		w.check()
	}
}

// plant lets a value appear under a key that every kube-apiserver can read, of which no record knows. What comes after the
// count is beyond any proof.
func (w *world) plant(by *host) {
	if w.counted != nil {
		return
	}
	resource := rapid.SampledFrom(kinds()).Draw(w.t, "resource")
	k := rapid.SampledFrom(by.chain(resource, by.loaded)).Draw(w.t, "old key")
	for _, h := range w.hosts {
		readable := func(d *encconfig.Description) bool { return slices.ContainsFunc(h.chain(resource, d), k.Is) }
		if !readable(h.loaded) || !readable(h.file) || h.edited && k.Provider != encconfig.Identity {
			return
		}
	}
	w.stored[resource][encconfig.Key{Provider: k.Provider, Name: k.Name}] = true
}

// count is a count of everything. One that finds values under other keys than they were migrated to voids the migration, once.
func (w *world) count(g plan.Goal) {
	w.counted = &plan.Counted{}
	contradicted := false
	for resource, values := range w.stored {
		for k := range values {
			file := w.hosts[0].file
			covered := file != nil && g.Covers(*file, resource)
			contradicted = contradicted || covered && !k.Is(g.Target)
			if k.Provider != encconfig.Identity {
				w.counted.Stored = append(w.counted.Stored, k)
				w.counted.Encrypted = w.counted.Encrypted || covered && g.Target == identity
			}
		}
	}
	w.forbidden = w.counted.Encrypted
	if contradicted && !w.refuted {
		w.refuted, w.progress, w.aged = true, plan.Progress{}, false
	}
}

// finishEdit lets a guard end: the kube-apiserver runs as edited, or as before.
func (w *world) finishEdit(h *host) {
	if !h.edited {
		return
	}
	h.edited = false
	if rapid.IntRange(0, 4).Draw(w.t, "rolled back") == 0 {
		return
	}
	h.flags, h.loaded = h.wanted, h.file
}

// run tells whether the goal was reached.
func (w *world) run(g plan.Goal, mayDie bool) bool {
	w.counted = nil
	for range 80 {
		w.happen()
		if mayDie && rapid.IntRange(0, 9).Draw(w.t, "kill") == 0 {
			return false
		}
		step, err := plan.Next(w.observe(g), g)
		if err != nil {
			w.t.Fatalf("goal %+v refused: %v", g, err)
		}
		if step.Kind == plan.Done {
			return true
		}
		if !w.carryOut(step, g, mayDie) {
			return false
		}
		w.check()
	}
	w.t.Fatalf("goal %+v does not end", g)
	return false
}

func (w *world) carryOut(step plan.Step, g plan.Goal, mayDie bool) bool {
	switch step.Kind {
	case plan.Push:
		return w.push(step, mayDie)
	case plan.Await:
		for _, h := range w.hosts {
			if h.flags == plan.FlagsSet {
				h.loaded = h.file
			}
		}
	case plan.EditManifest:
		for _, h := range w.hosts {
			if h.edited {
				w.t.Fatalf("two manifests are edited at once")
			}
		}
		h := w.host(step.Targets[0])
		h.edited, h.wanted = true, step.Flags
	case plan.AwaitEdit:
		w.finishEdit(w.host(step.Targets[0]))
	case plan.KubeadmConfig:
		w.kubeadm = step.Flags
	case plan.Verify:
		w.count(g)
	case plan.Settle:
		w.progress.Settled, w.counted = true, nil
	case plan.Migrate:
		w.migrate(g)
		w.progress.Migrated, w.counted, w.aged = true, nil, false
	case plan.Age:
		clear(w.superseded)
		w.aged = true
	case plan.Close:
		w.progress.Closed = true
	}
	return true
}

func (w *world) host(name string) *host {
	return w.hosts[slices.IndexFunc(w.hosts, func(h *host) bool { return h.name == name })]
}

func (w *world) push(step plan.Step, mayDie bool) bool {
	result := step.Result
	if result.Digest == "" {
		result.Digest = encconfig.Digest([]byte(fmt.Sprint(result.Rules)))
	}
	w.highest = max(w.highest, highestOf(result))
	w.progress, w.aged = plan.Progress{}, false
	for _, name := range rapid.Permutation(step.Targets).Draw(w.t, "order") {
		if mayDie && rapid.IntRange(0, 5).Draw(w.t, "kill in push") == 0 {
			return false
		}
		h := w.host(name)
		if h.file != nil {
			h.history = append(h.history, *h.file)
		}
		h.history = append(h.history, result)
		h.file = &result
		w.happen()
	}
	return true
}

func highestOf(d encconfig.Description) (n uint64) {
	for _, k := range d.Keys() {
		n = max(n, keys.Number(k.Name))
	}
	return n
}

// migrate rewrites every value of what the goal is about. Each kube-apiserver must write it with the goal's key.
func (w *world) migrate(g plan.Goal) {
	for _, resource := range kinds() {
		if file := w.hosts[0].file; file == nil || !g.Covers(*file, resource) {
			continue
		}
		for _, h := range w.hosts {
			if k := h.chain(resource, h.loaded)[0]; !k.Is(g.Target) {
				w.t.Fatalf("migration of %s to %s while %s writes with %s", resource, g.Target, h.name, k)
			}
		}
		for k := range w.stored[resource] {
			w.superseded[resource] = added(w.superseded[resource], k)
		}
		w.stored[resource] = map[encconfig.Key]bool{g.Target: true}
	}
}

func added(set map[encconfig.Key]bool, k encconfig.Key) map[encconfig.Key]bool {
	if set == nil {
		set = map[encconfig.Key]bool{}
	}
	set[k] = true
	return set
}

// goal draws what an administrator may want next.
func (w *world) goal() (plan.Goal, bool) {
	on := w.hosts[0].flags == plan.FlagsSet
	var file encconfig.Description
	if w.hosts[0].file != nil {
		file = *w.hosts[0].file
	}
	some := rapid.SliceOfNDistinct(rapid.SampledFrom(append(kinds(), "*.apps", "*.*")), 1, 3, rapid.ID[string]).Draw(w.t, "resources")
	some = encconfig.Broadest(some)
	fresh := encconfig.Key{Provider: rapid.SampledFrom(encconfig.LocalProviders()).Draw(w.t, "provider"), Name: keys.NameOf(w.highest + 1)}
	switch rapid.SampledFrom([]string{"enable", "add", "rotate", "disable", "disable all", "remove flags"}).Draw(w.t, "goal") {
	case "enable":
		return plan.Goal{Target: fresh, Resources: some, Flags: plan.SetFlags, Keep: 2}, true
	case "add":
		if writes := file.WriteKeys(); on && len(writes) == 1 {
			return plan.Goal{Target: writes[0], Resources: some, Flags: plan.SetFlags, Keep: 2}, true
		}
	case "rotate":
		if on && len(file.EncryptingRules()) > 0 {
			return plan.Goal{Target: fresh, Keep: 2}, true
		}
	case "disable":
		return plan.Goal{Target: identity, Resources: some}, on
	case "disable all":
		return plan.Goal{Target: identity, Resources: file.Patterns()}, on
	case "remove flags":
		return plan.Goal{Target: identity, Resources: file.Patterns(), Flags: plan.RemoveFlags}, on
	}
	return plan.Goal{}, false
}

func TestNext_whatever_is_turned_on_and_off_everything_stays_readable_and_the_plan_ends(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, stored: map[string]map[encconfig.Key]bool{}, superseded: map[string]map[encconfig.Key]bool{}, kubeadm: plan.FlagsUnset}
		for _, resource := range kinds() {
			w.stored[resource] = map[encconfig.Key]bool{identity: true}
		}
		for i := range rapid.IntRange(1, 3).Draw(t, "hosts") {
			w.hosts = append(w.hosts, &host{name: fmt.Sprintf("n%d", i+1), flags: plan.FlagsUnset})
		}
		for range rapid.IntRange(1, 5).Draw(t, "goals") {
			g, sensible := w.goal()
			if !sensible {
				continue
			}
			w.progress, w.aged, w.refuted, w.forbidden = plan.Progress{}, false, false, false
			for range rapid.IntRange(0, 3).Draw(t, "runs that die") {
				if w.run(g, true) {
					break
				}
				if rapid.Bool().Draw(t, "record lost") {
					w.progress, w.aged = plan.Progress{}, false
				}
			}
			if !w.run(g, false) {
				t.Fatalf("the last run did not end")
			}
			w.reached(g)
		}
	})
}

// reached holds the world against the goal.
func (w *world) reached(g plan.Goal) {
	for _, h := range w.hosts {
		switch {
		case g.Flags == plan.RemoveFlags && h.flags != plan.FlagsUnset && w.forbidden:
			// it says what stands in the way
		case g.Flags == plan.RemoveFlags && h.flags != plan.FlagsUnset, g.Flags == plan.SetFlags && h.flags != plan.FlagsSet:
			w.t.Fatalf("%s has flags %v in the end", h.name, h.flags)
		}
		for _, resource := range kinds() {
			covered := encconfig.Rule{Resources: g.Resources}.Covers(resource)
			if k := h.chain(resource, h.loaded)[0]; covered && !k.Is(g.Target) {
				w.t.Fatalf("%s writes %s with %s in the end, not with %s", h.name, resource, k, g.Target)
			}
		}
	}
}
