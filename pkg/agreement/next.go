// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agreement

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
)

// Kind is the kind of a step.
type Kind string

// The steps.
const (
	// Unite gives nodes the keys that they lack, behind the write keys that they have.
	Unite Kind = "unite"
	// Agree gives nodes the agreed file.
	Agree Kind = "agree"
	// Await waits until every kube-apiserver has proven the file of its own node.
	Await Kind = "await"
	// Done: all nodes have the same file, and every kube-apiserver has loaded it.
	Done Kind = "done"
)

// Step is one thing to do. Everything is observed again after it.
type Step struct {
	Kind Kind
	// Base, for Unite and Agree: the node that makes the files, and the digest of the one that it begins with: its
	// file, or one of its history. The comments and the order of that one are kept.
	Base        string
	BaseDigest  string
	FromHistory bool
	// Keys that the base's node does not have, and which nodes have them.
	Keys []Held
	// Targets are the nodes that get a file, by name.
	Targets []Target
	// LeftOut are keys of histories whose names stand for other keys now.
	LeftOut []Held
}

// Target is a node that gets a file.
type Target struct {
	Node string
	// From is the digest of what is there, empty if nothing is.
	From string
	// Want is what the file will say. Its digest is known when the file is made.
	Want encconfig.Description
}

// Next gives the one step that comes next; the rules are those of the package's comment.
func Next(o Observed) (Step, error) {
	if len(o.Nodes) == 0 {
		return Step{}, refuse(nil, "no control-plane node could be looked at")
	}
	if o.agreed() && o.proven() { // rule 9
		return Step{Kind: Done}, nil
	}
	if o.settling() {
		return Step{Kind: Await}, nil
	}
	servers, err := o.servers() // rule 8
	if err != nil {
		return Step{}, err
	}
	all, err := gather(servers) // rules 1 and 2
	if err != nil {
		return Step{}, err
	}
	m := merger{servers: servers, ring: all}
	base, digest := m.chooseBase()
	want := m.merged(m.writeKey) // rules 3 to 5
	if m.promotable(o) {         // rules 6 and 7
		return m.agree(base, digest, want), nil
	}
	return m.unite(o, base, digest)
}

// settling tells whether every node has a file, and a kube-apiserver that does not tell what it has loaded has not proven the one that
// this repair has just put there: until it has, it may have loaded any other.
func (o Observed) settling() bool {
	return !slices.ContainsFunc(o.Nodes, func(n Node) bool { return n.Config == nil }) &&
		slices.ContainsFunc(o.Nodes, func(n Node) bool { return n.Given && !n.TellsLoaded && !n.Proven && !n.Rejected })
}

// promotable is rules 6 and 7: may every kube-apiserver write with the agreed write keys?
func (m merger) promotable(o Observed) bool {
	for _, p := range m.patterns() {
		write := m.writeKey(p)
		for _, s := range m.servers {
			if chainOf(s.own, p)[0] != write && len(o.Silent) > 0 {
				return false
			}
		}
		if !m.readable(p, write) {
			return false
		}
	}
	return true
}

// readable tells whether every kube-apiserver reads a resource with a key, whatever it has loaded of what it may have,
// and also if it reads its file next. One of which that is not known is no obstacle where all others write with the key already:
// what it may not read then it does not read now, and the file that has the key is what mends it.
func (m merger) readable(pattern string, k encconfig.Key) bool {
	for _, s := range m.servers {
		if !s.reads(pattern, k) && (len(s.maybe) == 1 || !m.writtenBesides(s, pattern, k)) {
			return false
		}
	}
	return true
}

// reads tells whether a kube-apiserver reads a resource with a key, whatever it may have loaded, and if it reads its file next.
func (s server) reads(pattern string, k encconfig.Key) bool {
	return !slices.ContainsFunc(append(usable(s.Node), s.maybe...), func(d encconfig.Description) bool { return !slices.Contains(chainOf(d, pattern), k) })
}

// writtenBesides tells whether all kube-apiservers but one write a resource with a key.
func (m merger) writtenBesides(one server, pattern string, k encconfig.Key) bool {
	return !slices.ContainsFunc(m.servers, func(s server) bool { return s.Name != one.Name && !s.writesWith(pattern, k) })
}

// writesWith tells whether a kube-apiserver writes a resource with a key, whatever it may have loaded.
func (s server) writesWith(pattern string, k encconfig.Key) bool {
	return !slices.ContainsFunc(s.maybe, func(d encconfig.Description) bool { return chainOf(d, pattern)[0] != k })
}

// agree is the step to the agreed file. A file that says it already is given to the others as it is.
func (m merger) agree(base, digest string, want encconfig.Description) Step {
	step := m.step(Agree, base, digest)
	as := ""
	if m.base.SameContent(want) {
		as, want.Digest = digest, digest
	}
	for _, s := range m.servers {
		if as == "" || s.Config == nil || s.Digest != as {
			step.Targets = append(step.Targets, Target{Node: s.Name, From: s.Digest, Want: want})
		}
	}
	if len(step.Targets) == 0 {
		return Step{Kind: Await}
	}
	return step
}

// unite is the step in which no write key changes: each node gets what it lacks behind its own.
func (m merger) unite(o Observed, base, digest string) (Step, error) {
	step := m.step(Unite, base, digest)
	loaded := true
	for _, s := range m.servers {
		want := m.merged(func(pattern string) encconfig.Key { return chainOf(s.own, pattern)[0] })
		if err := m.keepsWriteKey(s, want); err != nil {
			return Step{}, err
		}
		switch {
		case s.Config == nil || !s.Config.SameContent(want):
			step.Targets = append(step.Targets, Target{Node: s.Name, From: s.Digest, Want: want})
		case !s.Proven:
			loaded = false
		}
	}
	switch {
	case len(step.Targets) > 0:
		return step, nil
	case !loaded:
		return Step{Kind: Await}, nil
	}
	return Step{}, refuse([]string{
		"bring that kube-apiserver back; if its file is the reason that it is down, on the node, as root: encryption-agent restore",
		"then run this command again",
	}, "the kube-apiservers write with different keys, and %s can't be seen: no write key is changed while a node might come back "+
		"that can't read it", strings.Join(o.Silent, ", "))
}

// keepsWriteKey holds rule 6 against a kube-apiserver of which it is not known for certain what it has loaded.
func (m merger) keepsWriteKey(s server, want encconfig.Description) error {
	for _, p := range m.patterns() {
		if write := chainOf(want, p)[0]; !s.writesWith(p, write) && !m.readable(p, write) {
			return refuse([]string{certain(s)},
				"it is not known which configuration the kube-apiserver on node %s has loaded, and so not with which key it writes %s", s.Name, p)
		}
	}
	return nil
}

// certain is how it comes to be known what a kube-apiserver has loaded. Without a usable file it would not start again.
func certain(s server) string {
	const restart = "restart that kube-apiserver, so that it is known to have loaded its file; then run this command again"
	if s.Config == nil {
		return "do not restart that kube-apiserver, it has no usable file: first put one there that has every key of the node's history, " +
			"the newest revision as a rule (on the node, as root: encryption-agent restore); then " + restart
	}
	return restart
}

// step is a step that makes files.
func (m merger) step(kind Kind, base, digest string) Step {
	at := slices.IndexFunc(m.servers, func(s server) bool { return s.Name == base })
	step := Step{
		Kind: kind, Base: base, BaseDigest: digest, LeftOut: m.ring.leftOut,
		FromHistory: m.servers[at].Config == nil || m.servers[at].Digest != digest,
	}
	for _, k := range m.ring.keys {
		if !m.servers[at].has(k) {
			step.Keys = append(step.Keys, holder(k, m.servers))
		}
	}
	return step
}

// chooseBase sets the configuration that is changed the least: one that is as agreed already; else that of the most
// nodes, files before what is only loaded; else the one with the newest write key. It gives a node that has it.
func (m *merger) chooseBase() (node, digest string) {
	type candidate struct {
		d                     encconfig.Description
		agreed, files, newest int
		node                  string
	}
	var best *candidate
	for _, d := range m.inUse() {
		c := candidate{d: d, node: m.ownerOf(d.Digest)}
		m.base = d
		if c.node == "" {
			continue
		}
		if d.SameContent(m.merged(m.writeKey)) {
			c.agreed = 1
		}
		for _, s := range m.servers {
			if s.Config != nil && s.Digest == d.Digest {
				c.files++
			}
		}
		for _, k := range d.WriteKeys() {
			c.newest = max(c.newest, int(keys.Number(k.Name))) //nolint:gosec // keys.Number is below 1<<32
		}
		if best == nil || cmp.Or(cmp.Compare(c.agreed, best.agreed), cmp.Compare(c.files, best.files), cmp.Compare(c.newest, best.newest),
			strings.Compare(best.d.Digest, c.d.Digest)) > 0 {
			best = &c
		}
	}
	m.base = best.d
	return best.node, best.d.Digest
}

// ownerOf is a node that has a configuration as its file, else in its history.
func (m merger) ownerOf(digest string) string {
	node := ""
	for _, s := range m.servers {
		if s.Config != nil && s.Digest == digest {
			return s.Name
		}
		if node == "" && slices.ContainsFunc(s.understood(), func(d encconfig.Description) bool { return d.Digest == digest }) {
			node = s.Name
		}
	}
	return node
}

func newer(a, b encconfig.Key) bool { return keys.Number(a.Name) > keys.Number(b.Name) }
