// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig

import (
	"fmt"
	"slices"
	"strings"
)

// covers tells whether a pattern, which may be a resource, stands for a resource or for a narrower pattern.
func covers(pattern, resource string) bool {
	_, group, _ := strings.Cut(resource, ".")
	return pattern == resource || pattern == "*.*" || pattern == "*."+group
}

// Broadest leaves out of a list what others of it cover: "*.apps" stands for "deployments.apps" too.
func Broadest(resources []string) []string {
	var kept []string
	for i, r := range resources {
		covered := slices.Contains(resources[:i], r) || slices.ContainsFunc(resources, func(p string) bool { return p != r && covers(p, r) })
		if !covered {
			kept = append(kept, r)
		}
	}
	return kept
}

// CheckResources tells why resources, wildcards included, can't stand in a configuration; nil if they can.
func CheckResources(resources []string) error {
	for _, r := range resources {
		if err := checkResource(r, nil); err != nil {
			return fmt.Errorf("resource %q: %w", r, err)
		}
	}
	return nil
}

// piece is a part of a rule, or a new one, such that a change applies to all of it or to nothing of it.
type piece struct {
	resources []string
	// from is the rule that the piece has its keys from, -1 for a new one, which has identity alone.
	from int
	// cut: the piece is taken out of its rule, which keeps a part.
	cut bool
	// scoped: the change applies.
	scoped bool
}

// carve cuts rules such that each is in scope or not. It changes nothing of what the configuration does: what is cut
// out of a rule, or out of a wildcard, keeps the rule's keys, and stands before it, since the first match applies.
// Resources that no rule covers get one of their own at the end.
func carve(rules []Rule, scope []string) []piece {
	scope = Broadest(scope)
	in := func(resource string) bool {
		return slices.ContainsFunc(scope, func(p string) bool { return covers(p, resource) })
	}
	narrower := narrow(rules, scope)
	var pieces []piece
	for i, r := range rules {
		if len(narrower[i]) > 0 {
			pieces = append(pieces, piece{resources: narrower[i], from: i, cut: true, scoped: true})
		}
		var mine, rest []string
		for _, resource := range r.Resources {
			if in(resource) {
				mine = append(mine, resource)
			} else {
				rest = append(rest, resource)
			}
		}
		if len(mine) > 0 {
			pieces = append(pieces, piece{resources: mine, from: i, cut: len(rest) > 0, scoped: true})
		}
		if len(rest) > 0 {
			pieces = append(pieces, piece{resources: rest, from: i})
		}
	}
	if own := narrower[-1]; len(own) > 0 {
		pieces = append(pieces, piece{resources: own, from: -1, scoped: true})
	}
	return pieces
}

// narrow sorts what is in scope and listed by no rule by the rule whose wildcard covers it, -1 if none does.
func narrow(rules []Rule, scope []string) map[int][]string {
	found := map[int][]string{}
	for _, p := range scope {
		at := slices.IndexFunc(rules, func(r Rule) bool { return r.Covers(p) })
		if at < 0 || !slices.Contains(rules[at].Resources, p) {
			found[at] = append(found[at], p)
		}
	}
	return found
}

// pieces are the parts of the configuration that the change tells apart: each whole rule, where it names no resources.
func (c Change) pieces(d Description) ([]piece, error) {
	if len(c.Resources) == 0 {
		var whole []piece
		for i, r := range d.Rules {
			whole = append(whole, piece{resources: r.Resources, from: i, scoped: r.Encrypts()})
		}
		return whole, nil
	}
	if err := CheckResources(c.Resources); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", c.Kind, err, ErrRefused)
	}
	pieces := carve(d.Rules, c.Resources)
	for _, p := range pieces {
		if p.cut && slices.ContainsFunc(d.Rules[p.from].Keys, func(k Key) bool { return k.Provider == KMS }) {
			return nil, fmt.Errorf("%s: the rule for %q uses a KMS provider and can't be split: %w", c.Kind, d.Rules[p.from].Resources, ErrRefused)
		}
	}
	return pieces, nil
}

// keys are the keys that a piece has before the change.
func (p piece) keys(d Description) []Key {
	if p.from < 0 {
		return []Key{{Provider: Identity}}
	}
	return d.Rules[p.from].Keys
}

// Scope are the rules that a change to these resources would apply to, as they are now, by their resources.
func (d Description) Scope(resources []string) []Rule {
	var rules []Rule
	for _, p := range carve(d.Rules, resources) {
		if p.scoped {
			rules = append(rules, Rule{Resources: p.resources, Keys: p.keys(d)})
		}
	}
	return rules
}

// Patterns are all resources that the configuration has a rule for, as written.
func (d Description) Patterns() []string {
	var list []string
	for _, r := range d.Rules {
		list = append(list, r.Resources...)
	}
	return list
}
