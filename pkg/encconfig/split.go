// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// Empty is a document without a rule: what there is before the first file. It has no bytes, and only a change that
// adds a key to resources makes a configuration of it.
func Empty() *Document {
	top := mapping("apiVersion", scalar(groupVersion))
	top.Content = append(top.Content, scalar("kind"), scalar("EncryptionConfiguration"),
		scalar("resources"), &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"})
	return &Document{root: &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{top}}}
}

// again is the document with nodes of its own, which may be changed.
func (d *Document) again() (*Document, error) {
	if len(d.bytes) == 0 {
		return Empty(), nil
	}
	return Parse(d.bytes)
}

// split makes the document's rules those that the change tells apart; it has been found to apply. What is cut out of a
// rule gets a copy of its providers, while the comments stay where they are.
func (d *Document) split(c Change) {
	pieces, err := c.pieces(d.Describe())
	if err != nil {
		return // Change.Apply has refused it before
	}
	rules := make([]rule, len(pieces))
	for i, p := range pieces {
		switch {
		case p.from < 0:
			rules[i] = newRule([]transformer{{key: Key{Provider: Identity}, node: identityNode()}})
		case p.cut:
			rules[i] = newRule(copied(d.rules[p.from].chain))
		default:
			rules[i] = d.rules[p.from]
		}
		rules[i].list(p.resources)
	}
	d.rules = rules
	d.list().Content = nil
	for _, r := range rules {
		d.list().Content = append(d.list().Content, r.node)
	}
}

// list is the node of the file's entries.
func (d *Document) list() *yaml.Node {
	top := d.root.Content[0]
	at := slices.IndexFunc(top.Content, func(n *yaml.Node) bool { return n.Value == "resources" })
	return top.Content[at+1]
}

// newRule is an entry of its own for transformers.
func newRule(chain []transformer) rule {
	names := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	providers := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: providerNodes(chain)}
	entry := mapping("resources", names)
	entry.Content = append(entry.Content, scalar("providers"), providers)
	return rule{node: entry, names: names, providers: providers, chain: chain}
}

// copied are the same transformers with nodes of their own, without comments.
func copied(chain []transformer) []transformer {
	list := make([]transformer, len(chain))
	for i, t := range chain {
		list[i] = transformer{key: t.key, secret: t.secret, node: identityNode()}
		if t.key.Provider.Local() {
			list[i].node = keyNode(t.key.Name, t.secret)
		}
	}
	return list
}

// list makes the rule one for these resources. The nodes of those that it had are kept.
func (r *rule) list(resources []string) {
	if slices.Equal(r.resources, resources) {
		return
	}
	var nodes []*yaml.Node
	for _, name := range resources {
		at := slices.IndexFunc(r.names.Content, func(n *yaml.Node) bool { return n.Value == name })
		if at >= 0 {
			nodes = append(nodes, r.names.Content[at])
			continue
		}
		nodes = append(nodes, scalar(name))
	}
	r.resources, r.names.Content = resources, nodes
}
