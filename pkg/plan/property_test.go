// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

// cluster is a model of a control plane on which rotations are begun, killed anywhere, resumed and aborted, while
// kube-apiservers reload, restart and write when they like.
type cluster struct {
	t     *rapid.T
	nodes []*node
	// stored are the keys that any stored value needs, by the index of the rule; superseded those that only revisions
	// need which a migration has replaced and which are not compacted yet.
	stored, superseded map[int]map[encconfig.Key]bool
	// progress by write key: what the record says. It may be lost at any time.
	progress map[encconfig.Key]plan.Progress
	// unneeded is what the last finished migration proved, once it is old enough.
	unneeded, provenSoon []encconfig.Key
	highest              uint64
	// known is the highest key of the beginning: values may be under it and those before it.
	known uint64
	// counted is what the run has counted, refuted by write key whether a count has voided its migration.
	counted *plan.Counted
	refuted map[encconfig.Key]bool
}

type node struct {
	name    string
	file    encconfig.Description
	loaded  encconfig.Description
	history []encconfig.Description
}

func (c *cluster) observe(target encconfig.Key) plan.Observed {
	o := plan.Observed{Progress: c.progress[target], Unneeded: c.unneeded, Counted: c.counted}
	for _, n := range c.nodes {
		file := n.file
		o.Nodes = append(o.Nodes, plan.Node{Name: n.name, Config: &file, History: n.history, Loaded: n.loaded.Digest})
	}
	return o
}

// check is rules 1 and 2 of the design as an invariant: whatever is stored, every kube-apiserver reads it now and
// after a restart.
func (c *cluster) check() {
	for _, values := range []map[int]map[encconfig.Key]bool{c.stored, c.superseded} {
		for rule, needed := range values {
			for k := range needed {
				c.readable(rule, k)
			}
		}
	}
}

func (c *cluster) readable(rule int, k encconfig.Key) {
	for _, n := range c.nodes {
		if n.loaded.Rules[rule].Index(k) < 0 || n.file.Rules[rule].Index(k) < 0 {
			c.t.Fatalf("a value under %s in rule %d is not readable on %s: loaded %v, file %v",
				k, rule, n.name, n.loaded.Rules, n.file.Rules)
		}
	}
}

func (c *cluster) write(n *node) {
	for i, r := range n.loaded.Rules {
		k := encconfig.Key{Provider: r.WriteKey().Provider, Name: r.WriteKey().Name}
		c.stored[i][k] = true
		c.unneeded = slices.DeleteFunc(c.unneeded, k.Is)
	}
	c.check()
}

// happen lets the world go on for a moment.
func (c *cluster) happen() {
	for range rapid.IntRange(0, 4).Draw(c.t, "events") {
		n := c.nodes[rapid.IntRange(0, len(c.nodes)-1).Draw(c.t, "node")]
		switch rapid.SampledFrom([]string{"reload", "write", "write", "age", "plant"}).Draw(c.t, "event") {
		case "reload": // or a restart: both load the file
			n.loaded = n.file
		case "write":
			c.write(n)
		case "age":
			if c.provenSoon != nil {
				c.unneeded, c.provenSoon = c.provenSoon, nil
			}
			clear(c.superseded)
		case "plant":
			c.plant()
		}
		c.check()
	}
}

// plant lets a value appear under an old key that every kube-apiserver can read, as a write that took very long, or one that
// went past the kube-apiservers. No record knows of it. What comes after the count is beyond any proof.
func (c *cluster) plant() {
	if c.counted != nil {
		return
	}
	rule := rapid.IntRange(0, len(c.nodes[0].file.Rules)-1).Draw(c.t, "rule")
	k := rapid.SampledFrom(c.nodes[0].file.Rules[rule].Keys).Draw(c.t, "old key")
	lacks := func(n *node) bool { return n.loaded.Rules[rule].Index(k) < 0 || n.file.Rules[rule].Index(k) < 0 }
	if slices.ContainsFunc(c.nodes, lacks) || keys.Number(k.Name) > c.known && !written(c, k) {
		return
	}
	c.stored[rule][encconfig.Key{Provider: k.Provider, Name: k.Name}] = true
}

// count is a count of everything. One that finds values of migrated rules under other keys voids the migration, once.
func (c *cluster) count(target encconfig.Key) {
	c.counted = &plan.Counted{}
	contradicted := false
	for i, values := range c.stored {
		for k := range values {
			contradicted = contradicted || c.nodes[0].file.Rules[i].Encrypts() && !k.Is(target)
			if k.Provider != encconfig.Identity {
				c.counted.Stored = append(c.counted.Stored, k)
			}
		}
	}
	if contradicted && !c.refuted[target] {
		c.refuted[target] = true
		c.progress[target] = plan.Progress{}
	}
}

// run carries out a goal until it is done, or is killed. It tells whether the goal was reached.
func (c *cluster) run(g plan.Goal, mayDie bool) bool {
	c.counted = nil
	for range 40 {
		c.happen()
		if mayDie && rapid.IntRange(0, 7).Draw(c.t, "kill") == 0 {
			if rapid.Bool().Draw(c.t, "record lost") {
				clear(c.progress)
				c.unneeded, c.provenSoon = nil, nil
			}
			return false
		}
		step, err := plan.Next(c.observe(g.Target), g)
		if g.Abort && written(c, g.Target) {
			if !errors.Is(err, plan.ErrRefused) {
				c.t.Fatalf("taking back %s, which has been a write key, is not refused", g.Target)
			}
			return false
		}
		if err != nil {
			c.t.Fatalf("goal %+v refused: %v", g, err)
		}
		if step.Kind == plan.Done {
			return true
		}
		if !c.carryOut(step, g, mayDie) {
			return false
		}
		c.check()
	}
	c.t.Fatalf("goal %+v does not end", g)
	return false
}

func (c *cluster) carryOut(step plan.Step, g plan.Goal, mayDie bool) bool {
	p := c.progress[g.Target]
	switch step.Kind {
	case plan.Verify:
		c.count(g.Target)
		return true
	case plan.Await:
		for _, n := range c.nodes {
			n.loaded = n.file
		}
	case plan.Push:
		return c.push(step, mayDie)
	case plan.Settle:
		p.Settled, c.counted = true, nil
	case plan.Migrate:
		c.migrate(g.Target)
		p.Migrated, c.counted = true, nil
	case plan.Close:
		p.Closed = true
	}
	c.progress[g.Target] = p
	return true
}

func (c *cluster) push(step plan.Step, mayDie bool) bool {
	result := step.Result
	if result.Digest == "" {
		for i := range result.Rules {
			result.Rules[i].Keys = slices.Clone(result.Rules[i].Keys)
		}
		result.Digest = encconfig.Digest([]byte(fmt.Sprint(result.Rules)))
	}
	for _, k := range result.Keys() {
		c.highest = max(c.highest, keys.Number(k.Name))
	}
	targets := rapid.Permutation(step.Targets).Draw(c.t, "order")
	for _, name := range targets {
		if mayDie && rapid.IntRange(0, 5).Draw(c.t, "kill in push") == 0 {
			return false
		}
		n := c.nodes[slices.IndexFunc(c.nodes, func(n *node) bool { return n.name == name })]
		n.history = append(n.history, n.file, result)
		n.file = result
		c.happen()
	}
	return true
}

// migrate makes every stored value one under the write key. Each instance that writes must be on it.
func (c *cluster) migrate(target encconfig.Key) {
	for _, n := range c.nodes {
		if !n.loaded.Writes(target) || len(n.loaded.WriteKeys()) != 1 {
			c.t.Fatalf("migration to %s while %s writes with %v", target, n.name, n.loaded.WriteKeys())
		}
	}
	before := map[encconfig.Key]bool{}
	for i, r := range c.nodes[0].file.Rules {
		if !r.Encrypts() {
			continue
		}
		maps.Copy(before, c.stored[i])
		for _, k := range r.Keys {
			before[encconfig.Key{Provider: k.Provider, Name: k.Name}] = true
		}
		if c.superseded[i] == nil {
			c.superseded[i] = map[encconfig.Key]bool{}
		}
		maps.Copy(c.superseded[i], c.stored[i])
		c.stored[i] = map[encconfig.Key]bool{target: true}
	}
	delete(before, target)
	c.provenSoon, c.unneeded = slices.Collect(maps.Keys(before)), nil
}

func draw(t *rapid.T) *cluster {
	provider := rapid.SampledFrom(encconfig.LocalProviders())
	d := encconfig.Description{Digest: "start"}
	name := uint64(0)
	c := &cluster{t: t, stored: map[int]map[encconfig.Key]bool{}, superseded: map[int]map[encconfig.Key]bool{}, progress: map[encconfig.Key]plan.Progress{}, refuted: map[encconfig.Key]bool{}}
	for i := range rapid.IntRange(1, 3).Draw(t, "rules") {
		r := encconfig.Rule{Resources: []string{fmt.Sprintf("r%d", i)}}
		for range rapid.IntRange(1, 4).Draw(t, "keys") {
			name++
			k := encconfig.Key{Provider: provider.Draw(t, "provider"), Name: keys.NameOf(name)}
			r.Keys = slices.Insert(r.Keys, 0, k)
		}
		identity := encconfig.Key{Provider: encconfig.Identity}
		if i > 0 && rapid.Bool().Draw(t, "being decrypted") {
			r.Keys = slices.Insert(r.Keys, 0, identity)
		} else {
			r.Keys = append(r.Keys, identity)
		}
		c.stored[i] = map[encconfig.Key]bool{}
		for _, k := range r.Keys {
			if rapid.Bool().Draw(t, "used") {
				c.stored[i][k] = true
			}
		}
		d.Rules = append(d.Rules, r)
	}
	c.highest, c.known = name, name
	for i := range rapid.IntRange(1, 3).Draw(t, "nodes") {
		c.nodes = append(c.nodes, &node{name: fmt.Sprintf("n%d", i+1), file: d, loaded: d})
	}
	return c
}

func TestNext_whatever_is_interrupted_everything_stays_readable_and_the_plan_ends(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := draw(t)
		c.check()
		provider := rapid.SampledFrom(encconfig.LocalProviders())
		keep := rapid.IntRange(plan.MinKeep, 4).Draw(t, "keep")
		var target encconfig.Key
		for range rapid.IntRange(1, 8).Draw(t, "runs") {
			pending, underway := plan.Pending(c.observe(target).Nodes)
			switch {
			case !underway:
				target = plan.NewKey(provider.Draw(t, "to"), c.observe(target).Nodes, c.highest)
			default:
				target = pending
			}
			g := plan.Goal{Target: target, Keep: keep}
			if underway {
				g.Abort = rapid.Bool().Draw(t, "abort")
			}
			c.run(g, true)
		}
		final := plan.Goal{Target: target, Keep: keep}
		if pending, underway := plan.Pending(c.observe(target).Nodes); underway {
			final.Target = pending
		} else if !c.nodes[0].file.Writes(target) && !written(c, target) {
			return // aborted, or never begun: nothing to finish
		}
		if !c.run(final, false) {
			t.Fatalf("the last run did not end")
		}
		for _, n := range c.nodes {
			if got := n.loaded.WriteKeys(); len(got) != 1 || !got[0].Is(final.Target) {
				t.Fatalf("%s writes with %v, not with %s alone", n.name, got, final.Target)
			}
		}
	})
}

// written tells whether a key is or was a write key anywhere.
func written(c *cluster, k encconfig.Key) bool {
	return slices.ContainsFunc(c.nodes, func(n *node) bool {
		return n.file.Writes(k) || slices.ContainsFunc(n.history, func(d encconfig.Description) bool { return d.Writes(k) })
	})
}
