// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agreement

import (
	"slices"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// identity is what reads plaintext.
func identity() encconfig.Key { return encconfig.Key{Provider: encconfig.Identity} }

// merger makes one configuration of many.
type merger struct {
	servers []server
	ring    ring
	base    encconfig.Description
}

// chainOf are the keys by which a configuration treats a resource or a wildcard: plaintext, where it has no rule.
func chainOf(d encconfig.Description, resource string) []encconfig.Key {
	if rule := d.RuleFor(resource); rule != nil {
		return rule.Keys
	}
	return []encconfig.Key{identity()}
}

// inUse are the configurations in use, what a kube-apiserver may have loaded among them.
func (m merger) inUse() []encconfig.Description {
	var list []encconfig.Description
	for _, s := range m.servers {
		list = append(list, usable(s.Node)...)
		list = append(list, s.own)
		list = append(list, s.maybe...)
	}
	return list
}

// patterns are all resources that a configuration in use has a rule for: those of the base in its order, then the
// others, narrow ones first.
func (m merger) patterns() []string {
	list := m.base.Patterns()
	var more []string
	for _, d := range m.inUse() {
		for _, p := range d.Patterns() {
			if !slices.Contains(list, p) && !slices.Contains(more, p) {
				more = append(more, p)
			}
		}
	}
	slices.SortFunc(more, func(a, b string) int {
		if w := width(a) - width(b); w != 0 {
			return w
		}
		return strings.Compare(a, b)
	})
	return append(list, more...)
}

// width orders what a pattern stands for: one resource, a group, everything.
func width(pattern string) int {
	switch {
	case pattern == "*.*":
		return 2
	case strings.HasPrefix(pattern, "*."):
		return 1
	}
	return 0
}

// writeKey is rules 3 and 5.
func (m merger) writeKey(pattern string) encconfig.Key {
	best, votes := identity(), 0
	for _, s := range m.servers {
		k := chainOf(s.own, pattern)[0]
		n := m.writers(k, pattern)
		switch {
		case k.Provider == encconfig.Identity:
		case best.Provider == encconfig.Identity, newer(k, best), !newer(best, k) && n > votes,
			!newer(best, k) && n == votes && compareAge(k, best) > 0:
			best, votes = k, n
		}
	}
	return best
}

// writers is how many kube-apiservers write a resource with a key.
func (m merger) writers(k encconfig.Key, pattern string) (n int) {
	for _, s := range m.servers {
		if chainOf(s.own, pattern)[0] == k {
			n++
		}
	}
	return n
}

// chain is the agreed chain of a resource with a given key in front: rules 1 and 4.
func (m merger) chain(pattern string, write encconfig.Key) []encconfig.Key {
	chain := []encconfig.Key{write}
	var hasKeys, plaintext bool
	for _, d := range m.inUse() {
		c := chainOf(d, pattern)
		hasKeys = hasKeys || slices.ContainsFunc(c, func(k encconfig.Key) bool { return k.Provider != encconfig.Identity })
		plaintext = plaintext || slices.Contains(c, identity())
	}
	// In the order of the base, so that a file that has them all stays as it is; plaintext that comes last stays last.
	if rule := m.base.RuleFor(pattern); rule != nil {
		keys := rule.Keys
		if last := len(keys) - 1; keys[last] == identity() {
			keys = keys[:last]
		}
		chain = appendNew(chain, keys)
	}
	if hasKeys {
		chain = appendNew(chain, m.ring.keys)
	}
	if plaintext && !slices.Contains(chain, identity()) {
		chain = append(chain, identity())
	}
	return chain
}

func appendNew(chain, more []encconfig.Key) []encconfig.Key {
	for _, k := range more {
		if !slices.Contains(chain, k) {
			chain = append(chain, k)
		}
	}
	return chain
}

// merged is the configuration whose write keys are chosen by write.
func (m merger) merged(write func(pattern string) encconfig.Key) encconfig.Description {
	var d encconfig.Description
	patterns := m.patterns()
	for _, r := range m.base.Rules {
		var part []encconfig.Rule
		for _, p := range r.Resources {
			part = group(part, p, m.chain(p, write(p)))
		}
		d.Rules = append(d.Rules, part...)
	}
	more := patterns[len(m.base.Patterns()):]
	for i := 0; i < len(more); {
		rule := encconfig.Rule{Keys: m.chain(more[i], write(more[i]))}
		at := place(d.Rules, more[i])
		for ; i < len(more) && place(d.Rules, more[i]) == at && slices.Equal(m.chain(more[i], write(more[i])), rule.Keys) &&
			(len(rule.Resources) == 0 || width(more[i]) == width(rule.Resources[0])); i++ {
			rule.Resources = append(rule.Resources, more[i])
		}
		d.Rules = slices.Insert(d.Rules, at, rule)
	}
	return d
}

// group adds a resource to the rule with its chain, or a new one.
func group(rules []encconfig.Rule, pattern string, chain []encconfig.Key) []encconfig.Rule {
	for i := range rules {
		if slices.Equal(rules[i].Keys, chain) {
			rules[i].Resources = append(rules[i].Resources, pattern)
			return rules
		}
	}
	return append(rules, encconfig.Rule{Resources: []string{pattern}, Keys: chain})
}

// place is where a rule for a pattern stands: before the first one that would match it, since the first match applies.
func place(rules []encconfig.Rule, pattern string) int {
	if at := slices.IndexFunc(rules, func(r encconfig.Rule) bool { return r.Covers(pattern) }); at >= 0 {
		return at
	}
	return len(rules)
}
