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
	// written are the keys that a file with which they write was handed to a node for.
	written map[encconfig.Key]bool
}

type node struct {
	name    string
	file    encconfig.Description
	loaded  encconfig.Description
	history []encconfig.Description
	// written is the mark that only rises.
	written uint64
}

// installed keeps what a node keeps: the newest revisions, and what alone holds a key.
func (n *node) installs(result encconfig.Description, arrives bool) {
	for i, d := range []encconfig.Description{n.file, result} {
		for _, k := range d.WriteKeys() {
			n.written = max(n.written, keys.Number(k.Name))
		}
		skip := 2 - i // as an agent does
		if !slices.ContainsFunc(n.history[max(0, len(n.history)-skip):], func(r encconfig.Description) bool { return r.Digest == d.Digest }) {
			n.history = append(n.history, d)
		}
	}
	if arrives {
		n.file = result
	}
	n.forget()
}

func (n *node) forget() {
	const newest = 4 // fewer than an agent keeps, so that nothing rests on more
	var kept []encconfig.Description
	var held []encconfig.Key
	for i, d := range slices.Backward(n.history) {
		old := len(n.history)-i > newest
		if old && !slices.ContainsFunc(d.Keys(), func(k encconfig.Key) bool { return !slices.ContainsFunc(held, k.Is) }) {
			continue
		}
		kept, held = append(kept, d), append(held, d.Keys()...)
	}
	slices.Reverse(kept)
	n.history = kept
}

func (c *cluster) observe(target encconfig.Key) plan.Observed {
	o := plan.Observed{Progress: c.progress[named(target)], Unneeded: c.unneeded, Counted: c.counted}
	for _, n := range c.nodes {
		file := n.file
		o.Nodes = append(o.Nodes, plan.Node{
			Name: n.name, Config: &file, History: n.history, HighestWritten: n.written, Loaded: n.loaded.Digest,
		})
	}
	return o
}

// named is a key as stored values name it.
func named(k encconfig.Key) encconfig.Key { return encconfig.Key{Provider: k.Provider, Name: k.Name} }

// agree tells whether all nodes have the same file.
func (c *cluster) agree() bool {
	return !slices.ContainsFunc(c.nodes, func(n *node) bool { return n.file.Digest != c.nodes[0].file.Digest })
}

// former are the keys that have written and that any node has in its file or its history.
func (c *cluster) former() []encconfig.Key {
	var list []encconfig.Key
	for _, n := range c.nodes {
		for _, d := range append(slices.Clone(n.history), n.file) {
			for _, k := range d.Keys() {
				if c.written[named(k)] && !slices.Contains(list, k) {
					list = append(list, k)
				}
			}
		}
	}
	return list
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
		k := named(r.WriteKey())
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
	if slices.ContainsFunc(c.nodes, lacks) || keys.Number(k.Name) > c.known && !c.written[named(k)] {
		return
	}
	c.stored[rule][named(k)] = true
}

// count is a count of everything. One that finds values of migrated rules under other keys voids the migration, once.
func (c *cluster) count(target encconfig.Key) {
	c.counted, target = &plan.Counted{}, named(target)
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
		if g.Abort && c.written[named(g.Target)] {
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
	p := c.progress[named(g.Target)]
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
		c.migrate(named(g.Target))
		p.Migrated, c.counted = true, nil
	case plan.Close:
		p.Closed = true
	}
	c.progress[named(g.Target)] = p
	return true
}

func (c *cluster) push(step plan.Step, mayDie bool) bool {
	result := step.Result
	if result.Digest == "" {
		for i := range result.Rules {
			result.Rules[i].Keys = slices.Clone(result.Rules[i].Keys)
			for j, k := range result.Rules[i].Keys {
				if k.Provider.Local() {
					result.Rules[i].Keys[j].Fingerprint = "f" + k.Name // an agent has made it
				}
			}
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
		for _, k := range result.WriteKeys() {
			c.written[named(k)] = true
		}
		if mayDie && rapid.IntRange(0, 9).Draw(c.t, "kill in installation") == 0 {
			n.installs(result, false)
			return false
		}
		n.installs(result, true)
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
			before[named(k)] = true
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
	c := &cluster{t: t, stored: map[int]map[encconfig.Key]bool{}, superseded: map[int]map[encconfig.Key]bool{}, progress: map[encconfig.Key]plan.Progress{}, refuted: map[encconfig.Key]bool{}, written: map[encconfig.Key]bool{}}
	for i := range rapid.IntRange(1, 3).Draw(t, "rules") {
		r := encconfig.Rule{Resources: []string{fmt.Sprintf("r%d", i)}}
		for range rapid.IntRange(1, 4).Draw(t, "keys") {
			name++
			k := encconfig.Key{Provider: provider.Draw(t, "provider"), Name: keys.NameOf(name), Fingerprint: "f" + keys.NameOf(name)}
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
				c.stored[i][named(k)] = true
			}
		}
		d.Rules = append(d.Rules, r)
	}
	c.highest, c.known = name, name
	for _, k := range d.WriteKeys() {
		c.written[named(k)] = true
	}
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
		g := plan.Goal{}
		reached := true
		for range rapid.IntRange(1, 8).Draw(t, "runs") {
			g = c.nextGoal(g, reached, keep, provider)
			reached = c.run(g, true)
		}
		if reached && !g.Abort {
			return
		}
		final := plan.Goal{Target: g.Target, Resources: g.Resources, Keep: keep}
		if pending, underway := plan.Pending(c.observe(g.Target).Nodes); underway && g.Target.Fingerprint == "" {
			final.Target = pending
		} else if !c.nodes[0].file.Writes(g.Target) && !c.written[named(g.Target)] {
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

// nextGoal is what an operator asks for after a goal that was reached or not: to go on with it, or to take it back; where
// nothing is under way a rotation, or a rollback to any key that has written and that any node knows.
func (c *cluster) nextGoal(last plan.Goal, reached bool, keep int, provider *rapid.Generator[encconfig.Provider]) plan.Goal {
	nodes := c.observe(encconfig.Key{}).Nodes
	rollsBack := last.Target.Fingerprint != ""
	if rollsBack && !reached && (!c.agree() || rapid.Bool().Draw(c.t, "go on with the rollback")) {
		return last
	}
	if pending, underway := plan.Pending(nodes); underway {
		return plan.Goal{Target: pending, Keep: keep, Abort: rapid.Bool().Draw(c.t, "abort")}
	}
	if c.agree() && rapid.IntRange(0, 2).Draw(c.t, "roll back") == 0 {
		file := c.nodes[0].file
		var scope []string
		for _, r := range file.EncryptingRules() {
			scope = append(scope, r.Resources...)
		}
		return plan.Goal{Target: rapid.SampledFrom(c.former()).Draw(c.t, "back to"), Resources: scope, Keep: keep}
	}
	return plan.Goal{Target: plan.NewKey(provider.Draw(c.t, "to"), nodes, c.highest), Keep: keep}
}
