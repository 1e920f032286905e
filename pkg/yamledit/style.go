// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package yamledit

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// style is how far what is below something stands to the right of it. Zero: not known, but see dashKnown.
type style struct {
	dash      int // from a key to the dashes of its list
	dashKnown bool
	gap       int // from a dash to what follows it
	nest      int // from a key to the keys below it
}

// styleNear is the style of the neighbours: of what is inside a node, else of what comes first in the document, else
// that of kubeadm.
func (d *Document) styleNear(n *yaml.Node) style {
	var s style
	s.learn(n)
	s.learn(d.root)
	if s.gap < 2 {
		s.gap = 2
	}
	if s.nest < 1 {
		s.nest = 2
	}
	return s
}

func (s *style) learn(n *yaml.Node) {
	if isBlock(n) && n.Kind == yaml.SequenceNode {
		s.learnList(n)
	}
	if isBlock(n) && n.Kind == yaml.MappingNode {
		for i := 0; i < len(n.Content); i += 2 {
			s.learnPair(n.Content[i], n.Content[i+1])
		}
	}
	for _, child := range n.Content {
		s.learn(child)
	}
}

func (s *style) learnList(list *yaml.Node) {
	if first := list.Content[0]; s.gap == 0 && first.Line == list.Line {
		s.gap = first.Column - list.Column
	}
}

func (s *style) learnPair(key, value *yaml.Node) {
	if !isBlock(value) || value.Line <= key.Line {
		return
	}
	distance := value.Column - key.Column
	if value.Kind == yaml.MappingNode && s.nest == 0 {
		s.nest = distance
	}
	if value.Kind == yaml.SequenceNode && !s.dashKnown {
		s.dash, s.dashKnown = distance, true
	}
}

// render writes a value in block style, beginning at a column.
func (s style) render(n *yaml.Node, column int) []string {
	indent := strings.Repeat(" ", column)
	var lines []string
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			lines = append(lines, s.renderPair(n.Content[i], n.Content[i+1], column)...)
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			part := s.render(item, column+s.gap)
			part[0] = indent + "-" + part[0][column+1:]
			lines = append(lines, part...)
		}
	default:
		lines = append(lines, indent+written(n))
	}
	return lines
}

func (s style) renderPair(key, value *yaml.Node, column int) []string {
	first := strings.Repeat(" ", column) + written(key) + ":"
	if value.Kind == yaml.ScalarNode {
		return []string{first + " " + written(value)}
	}
	return append([]string{first}, s.render(value, column+s.below(value))...)
}

// below is how far a mapping or list stands to the right of its key.
func (s style) below(n *yaml.Node) int {
	if n.Kind == yaml.SequenceNode {
		return s.dash
	}
	return s.nest
}

// written is a scalar as it stands in the text, if it needs no escapes.
func written(n *yaml.Node) string {
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return `"` + n.Value + `"`
	case n.Style&yaml.SingleQuotedStyle != 0:
		return "'" + n.Value + "'"
	}
	return n.Value
}
