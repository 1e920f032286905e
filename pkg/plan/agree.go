// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// agree is rule 3: nodes differ, or have no file.
func agree(o Observed, g Goal) (Step, error) {
	var with, without []Node
	for _, n := range o.Nodes {
		if n.Config == nil {
			without = append(without, n)
		} else {
			with = append(with, n)
		}
	}
	switch {
	case len(with) == 0:
		first := encconfig.Change{Kind: encconfig.AddReadKey, Keys: []encconfig.Key{g.Target}, Resources: g.Resources}
		return push(encconfig.Description{}, first, o.Nodes[0].Name, o.names())
	case len(without) > 0 && same(with):
		return handOn(with[0], without)
	}
	if read, unread := byReader(with); len(read) > 0 && same(read) && len(unread) > 0 {
		return handOn(read[0], unread)
	}
	o.Nodes = with
	return finishPush(o, g)
}

// byReader tells the nodes whose kube-apiserver reads the file from those where nobody does: what is there is of no
// consequence, and gives way to what is in use.
func byReader(nodes []Node) (read, unread []Node) {
	for _, n := range nodes {
		if n.Flags == FlagsUnset {
			unread = append(unread, n)
		} else {
			read = append(read, n)
		}
	}
	return read, unread
}

// finishPush is rule 3 on the way forward: the nodes that are one change behind get what the others have. Which those
// are is told by content: what an interrupted way back has taken out of some is given to them again.
func finishPush(o Observed, g Goal) (Step, error) {
	a, b, err := twoGroups(o)
	if err != nil {
		return Step{}, err
	}
	switch {
	case !installed(a, b) && !installed(b, a):
		return Step{}, differ(o, "and no node's history shows an installation that leads from one to the other")
	case g.follows(*a[0].Config, *b[0].Config):
		return handOn(b[0], a)
	case g.follows(*b[0].Config, *a[0].Config):
		return handOn(a[0], b)
	}
	return Step{}, differ(o, "no single step of a rotation leads from one to the other")
}

// handOn gives the configuration of one node to others as it is.
func handOn(from Node, to []Node) (Step, error) {
	return push(*from.Config, encconfig.Change{Kind: encconfig.KeepAll}, from.Name, names(to))
}

// installed tells whether each of the newer nodes got its configuration by an installation of ours that replaced the
// older one: by its own history, which a hand edit does not write.
func installed(older, newer []Node) bool {
	return !slices.ContainsFunc(newer, func(n Node) bool {
		from := slices.IndexFunc(n.History, func(d encconfig.Description) bool { return d.Digest == older[0].Config.Digest })
		return from < 0 || !slices.ContainsFunc(n.History[from+1:], func(d encconfig.Description) bool {
			return d.Digest == n.Config.Digest
		})
	})
}

// twoGroups splits the nodes by configuration, of which there must be two.
func twoGroups(o Observed) (a, b []Node, err error) {
	for _, n := range o.Nodes {
		switch {
		case n.Config.Digest == o.Nodes[0].Config.Digest:
			a = append(a, n)
		case len(b) == 0 || n.Config.Digest == b[0].Config.Digest:
			b = append(b, n)
		default:
			return nil, nil, differ(o, "there are more than two different ones")
		}
	}
	return a, b, nil
}

func differ(o Observed, why string) error {
	return refuse("bring the nodes to one configuration, in which no key is lost, with: kubectl encryption repair",
		"the encryption configurations of the control-plane nodes differ (%s): %s", why, digests(o))
}

// digests lists which node has which configuration.
func digests(o Observed) string {
	parts := make([]string, len(o.Nodes))
	for i, n := range o.Nodes {
		parts[i] = n.Name + " " + ShortDigest(n.Config.Digest)
	}
	return strings.Join(parts, ", ")
}

// ShortDigest is a digest for people: the algorithm and the first 12 digits.
func ShortDigest(digest string) string { return digest[:min(len(digest), len("sha256:")+12)] }

// follows tells whether one change on the way to the goal leads from a to b. A promotion can be read both ways, and
// so can a key that is missing behind the write key: the target decides, and what was added is not taken back.
func (g Goal) follows(a, b encconfig.Description) bool {
	if len(g.Drop) > 0 {
		return g.drops(a, b)
	}
	promote := encconfig.Change{Kind: encconfig.Promote, Keys: []encconfig.Key{g.Target}, Resources: g.scope(a)}
	back := encconfig.Change{Kind: encconfig.Promote, Keys: []encconfig.Key{{Provider: encconfig.Identity}}, Resources: a.Patterns()}
	if g.adds(a, b) || reaches(a, b, promote) || g.Flags == SetFlags && reaches(a, b, back) {
		return true
	}
	var gone []encconfig.Key
	for _, k := range a.Keys() {
		if !b.Has(k) {
			gone = append(gone, k)
		}
	}
	return len(gone) > 0 && !g.adds(b, a) && reaches(a, b, encconfig.Change{Kind: encconfig.Remove, Keys: gone})
}

// adds tells whether b is a with one further read key: any, or the goal's for the goal's resources.
func (g Goal) adds(a, b encconfig.Description) bool {
	if scope := g.scope(a); len(scope) > 0 &&
		reaches(a, b, encconfig.Change{Kind: encconfig.AddReadKey, Keys: []encconfig.Key{newestIn(b, g.Target)}, Resources: scope}) {
		return true
	}
	plain := encconfig.Change{Kind: encconfig.AddReadKey, Keys: []encconfig.Key{{Provider: encconfig.Identity}}, Resources: withoutPlaintext(a)}
	if len(plain.Resources) > 0 && reaches(a, b, plain) {
		return true
	}
	return slices.ContainsFunc(b.Keys(), func(k encconfig.Key) bool {
		return reaches(a, b, encconfig.Change{Kind: encconfig.AddReadKey, Keys: []encconfig.Key{k}})
	})
}

// newestIn is the key as a configuration has it, with its fingerprint.
func newestIn(d encconfig.Description, k encconfig.Key) encconfig.Key {
	if at := slices.IndexFunc(d.Keys(), k.Is); at >= 0 {
		return d.Keys()[at]
	}
	return k
}

func reaches(a, b encconfig.Description, c encconfig.Change) bool {
	result, err := c.Apply(a)
	return err == nil && !a.SameContent(b) && result.SameContent(b)
}
