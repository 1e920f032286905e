// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package yamledit

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

var (
	dashBefore = regexp.MustCompile(`^( *)- +$`)
	noValue    = regexp.MustCompile(`^ *(\{ *\}|\[ *\]|null|~)?( +#.*)?$`)
)

// InsertItem puts an item into a list that has some already, at a position.
func (d *Document) InsertItem(list *yaml.Node, at int, item *yaml.Node) (*Document, error) {
	if !isBlock(list) {
		return nil, Refuse(list, "a list in flow style is not edited")
	}
	column, err := d.dash(list.Content[0])
	if err != nil {
		return nil, err
	}
	line := d.contentBefore(list.Content[0].Line)
	if at > 0 {
		line = d.end(list.Content[at-1])
	}
	return d.splice(line, 0, d.styleNear(list).render(NewList(item), column), list, func(n *yaml.Node) {
		n.Content = slices.Insert(n.Content, at, item)
	})
}

// RemoveItems takes neighbouring items out of a list that has others.
func (d *Document) RemoveItems(list *yaml.Node, at, count int) (*Document, error) {
	if !isBlock(list) || len(list.Content) <= count {
		return nil, Refuse(list, "a list in flow style, or without other items, is not edited")
	}
	first, last := list.Content[at], list.Content[at+count-1]
	if _, err := d.dash(first); err != nil {
		return nil, err
	}
	return d.splice(first.Line-1, d.end(last)-first.Line+1, nil, list, func(n *yaml.Node) {
		n.Content = slices.Delete(n.Content, at, at+count)
	})
}

// Set gives a value to a key that is missing or has none: null, {} or [].
func (d *Document) Set(mapping *yaml.Node, key string, value *yaml.Node) (*Document, error) {
	if !isBlock(mapping) {
		return nil, Refuse(mapping, "a mapping in flow style is not edited")
	}
	if at := find(mapping, key); at >= 0 {
		return d.fill(mapping, at, value)
	}
	// The first key may share its line with a dash.
	place := max(1, SortedPlace(keys(mapping), key))
	name := Plain(key)
	s := d.styleNear(mapping)
	lines := s.render(NewMapping(name, value), mapping.Column-1)
	return d.splice(d.end(mapping.Content[2*place-1]), 0, lines, mapping, func(n *yaml.Node) {
		n.Content = slices.Insert(n.Content, 2*place, name, value)
	})
}

// fill writes a value where there is none.
func (d *Document) fill(mapping *yaml.Node, at int, value *yaml.Node) (*Document, error) {
	key := mapping.Content[at]
	before, after, ok := d.cutAtColon(key)
	token := noValue.FindStringSubmatchIndex(after)
	if !ok || !isEmpty(mapping.Content[at+1]) || token == nil {
		return nil, Refuse(key, "%s has a value, or is written in a way that is not edited", key.Value)
	}
	if token[2] >= 0 {
		after = after[token[3]:]
	}
	s := d.styleNear(mapping)
	lines := []string{before + strings.TrimRight(after, " ")}
	if value.Kind == yaml.ScalarNode {
		lines[0] = before + " " + written(value) + strings.TrimRight(after, " ")
	} else {
		lines = append(lines, s.render(value, key.Column-1+s.below(value))...)
	}
	return d.splice(key.Line-1, 1, lines, mapping, func(n *yaml.Node) { n.Content[at+1] = value })
}

// Remove takes a key and what is below it out of a mapping that has others.
func (d *Document) Remove(mapping *yaml.Node, key string) (*Document, error) {
	at := find(mapping, key)
	if at < 0 || !isBlock(mapping) || len(mapping.Content) < 4 {
		return nil, Refuse(mapping, "a mapping of one key or in flow style is not edited")
	}
	first := mapping.Content[at]
	if strings.TrimLeft(d.before(first), " ") != "" {
		return nil, Refuse(first, "%s shares its line with something else", key)
	}
	return d.splice(first.Line-1, d.end(mapping.Content[at+1])-first.Line+1, nil, mapping, func(n *yaml.Node) {
		n.Content = slices.Delete(n.Content, at, at+2)
	})
}

// Clear takes everything below a key, which becomes {}.
func (d *Document) Clear(mapping *yaml.Node, key string) (*Document, error) {
	at := find(mapping, key)
	if at < 0 || !isBlock(mapping.Content[at+1]) || mapping.Content[at+1].Kind != yaml.MappingNode {
		return nil, Refuse(mapping, "%s is not a mapping in block style", key)
	}
	name, value := mapping.Content[at], mapping.Content[at+1]
	before, after, ok := d.cutAtColon(name)
	if !ok || value.Line == name.Line {
		return nil, Refuse(name, "%s is written in a way that is not edited", key)
	}
	between := d.lines[name.Line : value.Line-1]
	lines := append([]string{before + " {}" + after}, between...)
	return d.splice(name.Line-1, d.end(value)-name.Line+1, lines, mapping, func(n *yaml.Node) {
		n.Content[at+1] = NewMapping()
	})
}

// Replace changes a scalar that is written on one line without escapes.
func (d *Document) Replace(n *yaml.Node, text string) (*Document, error) {
	old := *n
	if n.Kind != yaml.ScalarNode || !strings.HasPrefix(d.from(n), written(&old)) {
		return nil, Refuse(n, "a value is written in a way that is not edited")
	}
	changed := old
	changed.Value = text
	line := d.before(n) + written(&changed) + strings.TrimPrefix(d.from(n), written(&old))
	return d.splice(n.Line-1, 1, []string{line}, n, func(n *yaml.Node) { n.Value = text })
}

// splice replaces lines, and makes sure that the new text differs from the old one by the given edit alone.
func (d *Document) splice(at, count int, lines []string, target *yaml.Node, edit func(*yaml.Node)) (*Document, error) {
	want := copyWith(d.root, target, edit)
	next := Document{lines: slices.Replace(slices.Clone(d.lines), at, at+count, lines...), eol: d.eol}
	got, err := Parse(next.Bytes())
	if err != nil || !Equal(want, got.root) {
		return nil, fmt.Errorf("line %d: nothing can be changed here without changing something else: %w", target.Line, ErrRefused)
	}
	return got, nil
}

// end is the number of the last line that holds something of a subtree. Where the text makes that hard to tell, it is
// too high or too low, and splice notices.
func (d *Document) end(n *yaml.Node) int {
	all := flatten(nil, d.root)
	next := slices.Index(all, n) + size(n)
	last := len(d.lines)
	if next < len(all) {
		last = max(n.Line, all[next].Line-1)
	}
	return max(n.Line, d.contentBefore(last+1))
}

// contentBefore is the number of the last line before a line that is neither blank nor a comment.
func (d *Document) contentBefore(line int) int {
	for line--; line > 0; line-- {
		text := strings.TrimLeft(d.lines[line-1], " \t")
		if text != "" && text[0] != '#' && text != "..." {
			break
		}
	}
	return line
}

// dash is the column before an item's dash, which must be alone with the item at the beginning of the line.
func (d *Document) dash(item *yaml.Node) (int, error) {
	match := dashBefore.FindStringSubmatch(d.before(item))
	if match == nil {
		return 0, Refuse(item, "an item of a list shares its line with something else or begins below its dash")
	}
	return len(match[1]), nil
}

// cutAtColon cuts a key's line behind the colon.
func (d *Document) cutAtColon(key *yaml.Node) (before, after string, found bool) {
	name := written(key)
	rest, ok := strings.CutPrefix(d.from(key), name+":")
	return d.before(key) + name + ":", rest, ok
}

// before and from are the two parts of a node's line. The parser counts characters, not bytes.
func (d *Document) before(n *yaml.Node) string {
	line := []rune(d.line(n))
	return string(line[:min(n.Column-1, len(line))])
}

func (d *Document) from(n *yaml.Node) string { return strings.TrimPrefix(d.line(n), d.before(n)) }

// line is the line on which a node begins. A value that is not written may be said to stand behind the text.
func (d *Document) line(n *yaml.Node) string { return d.lines[min(n.Line, len(d.lines))-1] }
