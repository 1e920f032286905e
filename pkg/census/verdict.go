// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package census

import (
	"cmp"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// Outcome is what a census comes to.
type Outcome string

// The outcomes.
const (
	// Clean is that every value is stored as the configuration would store it now.
	Clean Outcome = "clean"
	// Found is that some value is not.
	Found Outcome = "found"
	// Unproven is that none was found, and not everything was counted or could be judged.
	Unproven Outcome = "unproven"
	// Surveyed is that nothing was to be judged, and every value can be told.
	Surveyed Outcome = "surveyed"
)

// ExitCode is that of a command that ends with this: 0, 2 where something was found, 1 where the question has no answer.
func (o Outcome) ExitCode() int {
	switch o {
	case Clean, Surveyed:
		return 0
	case Found:
		return 2
	case Unproven:
	}
	return 1
}

// Finding is all values of one State, but Current, under one key.
type Finding struct {
	State State `json:"state"`
	// Key that they name; empty for the States that know of none.
	Key encconfig.Key `json:"key"`
	// Held is, of a Missing key, that the configuration has it for other resources or a node has it in its file or its history.
	Held bool `json:"held,omitempty"`
	// Unreadable is, of Plaintext, that the configuration does not read it.
	Unreadable bool  `json:"unreadable,omitempty"`
	Objects    int64 `json:"objects"`
	// others is that it stands for more than one key.
	others bool
}

// Verdict is what a census comes to.
type Verdict struct {
	Outcome Outcome `json:"outcome"`
	// Sentence says it in one.
	Sentence string `json:"sentence"`
	// Objects is the number of values, Current that of those that are, Unjudged that of those nothing is expected of.
	Objects  int64 `json:"objects"`
	Current  int64 `json:"current"`
	Unjudged int64 `json:"unjudged,omitempty"`
	// Findings are the values that are not, the worst first.
	Findings []Finding `json:"findings,omitempty"`
	// NotWhole are the resources that were not counted to their end.
	NotWhole []string `json:"notWhole,omitempty"`
	// Unused are the keys of the configuration that are used by nothing (rule 9). If UnusedUnknown says why that can't be told,
	// there is none.
	Unused        []encconfig.Key `json:"unused,omitempty"`
	UnusedUnknown string          `json:"unusedUnknown,omitempty"`
}

// Judge says what a census comes to. The configuration is the one that it was counted by. Held are the keys that any node has in
// its file or its history, nil if not every node was asked.
func Judge(c Census, config encconfig.Description, held []encconfig.Key) Verdict {
	v := sum(c, findings(c, config, held))
	switch {
	case len(v.Findings) > 0:
		v.Outcome = Found
	case len(v.NotWhole) > 0 || v.Unjudged > 0 || len(c.Tallies)+len(c.Whole) == 0:
		v.Outcome = Unproven
	default:
		v.Outcome = Clean
	}
	v.Unused, v.UnusedUnknown = unused(c, config)
	v.Sentence = sentence(c, v, held != nil)
	return v
}

// Doubtful is a verdict that something besides the count keeps from being proven: it is not Clean, and no key is unused.
func (v Verdict) Doubtful(why string) Verdict {
	if v.Outcome == Clean {
		v.Outcome = Unproven
		v.Sentence += "; that this is all is not proven"
	}
	v.Unused, v.UnusedUnknown = nil, why
	return v
}

// sum adds up what a verdict is about.
func sum(c Census, findings []Finding) Verdict {
	v := Verdict{Findings: findings}
	whole := encconfig.Rule{Resources: c.Whole}
	for _, t := range c.Tallies {
		v.Objects += t.Objects
		for _, g := range t.Groups {
			if g.State == Unjudged {
				v.Unjudged += g.Objects
			}
		}
		if !whole.Covers(t.Resource) && !t.surveyed() {
			v.NotWhole = append(v.NotWhole, t.Resource)
		}
	}
	v.Current = v.Objects - v.Unjudged - v.wrong()
	return v
}

// wrong is how many values are in the findings.
func (v Verdict) wrong() int64 {
	var objects int64
	for _, f := range v.Findings {
		objects += f.Objects
	}
	return objects
}

// findings sums up what is not Current over all resources.
func findings(c Census, config encconfig.Description, held []encconfig.Key) []Finding {
	sums := map[Finding]int64{}
	for _, t := range c.Tallies {
		for _, g := range t.Groups {
			if !g.State.straggles() {
				continue
			}
			f := Finding{State: g.State, others: g.Others, Unreadable: g.State == Plaintext && !g.Readable}
			if g.State != Undecodable && g.State != Unknown {
				f.Key = g.NamedKey()
			}
			f.Held = g.State == Missing && !g.Others && slices.ContainsFunc(slices.Concat(config.Keys(), held), g.isUnder)
			sums[f] += g.Objects
		}
	}
	var all []Finding
	for f, objects := range sums {
		f.Objects = objects
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(slices.Index(worstFirst(), a.State), slices.Index(worstFirst(), b.State)),
			boolean(a.Held)-boolean(b.Held),
			boolean(!a.Unreadable)-boolean(!b.Unreadable),
			boolean(a.others)-boolean(b.others),
			cmp.Compare(a.Key.String(), b.Key.String()),
		)
	})
	return all
}

// everything is the pattern that covers all resources.
const everything = "*.*"

// unused applies rule 9: the keys, or why it can't be told.
func unused(c Census, config encconfig.Description) (keys []encconfig.Key, unknown string) {
	if len(config.Keys()) == 0 {
		return nil, ""
	}
	whole := encconfig.Rule{Resources: c.Whole}
	for _, pattern := range config.Patterns() {
		if !whole.Covers(pattern) {
			return nil, pattern + " was not counted to the end"
		}
	}
	if !whole.Covers(everything) {
		return nil, "a value of a resource that no rule is about may name any key; " + everything + " was not counted"
	}
	used := map[encconfig.Key]bool{}
	for _, t := range c.Tallies {
		for _, g := range t.Groups {
			if g.Others {
				return nil, "the values of " + t.Resource + " name too many keys to keep them apart"
			}
			used[g.NamedKey()] = true
		}
	}
	for _, r := range config.Rules {
		used[named(r.WriteKey())] = true
	}
	for _, k := range config.Keys() {
		if !used[named(k)] {
			keys = append(keys, k)
		}
	}
	return keys, ""
}

// named is a key without its fingerprint, as values name it.
func named(k encconfig.Key) encconfig.Key { return encconfig.Key{Provider: k.Provider, Name: k.Name} }
