// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package yamledit

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// Get is the value of a key, nil if the key is missing.
func Get(mapping *yaml.Node, key string) *yaml.Node {
	if at := find(mapping, key); at >= 0 {
		return mapping.Content[at+1]
	}
	return nil
}

// Mapping is the mapping below a key, nil if the key is missing or has no value.
func Mapping(mapping *yaml.Node, key string) (*yaml.Node, error) {
	return below(mapping, key, yaml.MappingNode, "a mapping")
}

// List is the list below a key, nil if the key is missing or has no value.
func List(mapping *yaml.Node, key string) (*yaml.Node, error) {
	return below(mapping, key, yaml.SequenceNode, "a list")
}

func below(mapping *yaml.Node, key string, kind yaml.Kind, what string) (*yaml.Node, error) {
	n := Get(mapping, key)
	switch {
	case n == nil || isNull(n):
		return nil, nil //nolint:nilnil // what is not there is no error, and nil is an empty list to the caller
	case n.Kind != kind:
		return nil, Refuse(n, "%s is not %s", key, what)
	}
	return n, nil
}

// String is the text below a key, empty if the key is missing or has no value.
func String(mapping *yaml.Node, key string) (string, error) {
	n := Get(mapping, key)
	switch {
	case n == nil || isNull(n):
		return "", nil
	case n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str":
		return "", Refuse(n, "%s is not text", key)
	}
	return n.Value, nil
}

// Plain is a scalar written as it is. The text must be one that YAML reads as is.
func Plain(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: text}
	n.Tag = n.ShortTag()
	return n
}

// Quoted is a text in double quotes. It must not need escapes.
func Quoted(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Style: yaml.DoubleQuotedStyle}
}

// NewMapping is a mapping of alternating keys and values.
func NewMapping(pairs ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: pairs}
}

// NewList is a list.
func NewList(items ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: items}
}

// SortedPlace is where a name belongs among others: at its place if they are sorted, else behind them.
func SortedPlace(names []string, name string) int {
	if !slices.IsSorted(names) {
		return len(names)
	}
	at, _ := slices.BinarySearch(names, name)
	return at
}

// find is the position of a key in a mapping's content, or -1.
func find(mapping *yaml.Node, key string) int {
	for i := 0; i < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return i
		}
	}
	return -1
}

func keys(mapping *yaml.Node) []string {
	var names []string
	for i := 0; i < len(mapping.Content); i += 2 {
		names = append(names, mapping.Content[i].Value)
	}
	return names
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// isBlock tells whether a mapping or list has entries on lines of their own.
func isBlock(n *yaml.Node) bool {
	return (n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode) && n.Style&yaml.FlowStyle == 0 && len(n.Content) > 0
}

// isEmpty tells whether a value is null, {} or [].
func isEmpty(n *yaml.Node) bool {
	return isNull(n) || n.Kind != yaml.ScalarNode && len(n.Content) == 0
}

// size is the number of nodes of a subtree.
func size(n *yaml.Node) int {
	sum := 1
	for _, child := range n.Content {
		sum += size(child)
	}
	return sum
}

// flatten appends the nodes of a subtree in the order of the text.
func flatten(into []*yaml.Node, n *yaml.Node) []*yaml.Node {
	into = append(into, n)
	for _, child := range n.Content {
		into = flatten(into, child)
	}
	return into
}

// copyWith copies a tree, with an edit made to the copy of one node.
func copyWith(n, target *yaml.Node, edit func(*yaml.Node)) *yaml.Node {
	c := *n
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		c.Content[i] = copyWith(child, target, edit)
	}
	if n == target {
		edit(&c)
	}
	return &c
}

// Equal tells whether two trees say the same, however they are written.
func Equal(a, b *yaml.Node) bool {
	return a.Kind == b.Kind && a.ShortTag() == b.ShortTag() && a.Value == b.Value &&
		slices.EqualFunc(a.Content, b.Content, Equal)
}
