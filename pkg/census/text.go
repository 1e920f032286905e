// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package census

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// Number is a count as people read it: 1,234,567.
func Number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for at := len(digits) - 3; at > 0 && digits[at-1] != '-'; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// Share is which part of all n is (rule 8): "12.34%", "100%" only if it is all, "<0.01%" if it is less and not nothing. All of
// nothing is "100%".
func Share(n, all int64) string {
	const parts = 10_000
	switch {
	case all <= 0 || n >= all:
		return "100%"
	case n <= 0:
		return "0%"
	}
	high, low := bits.Mul64(uint64(n), parts)
	cut, _ := bits.Div64(high, low, uint64(all)) // below parts, since n is below all
	if cut == 0 {
		return "<0.01%"
	}
	if cut%100 == 0 {
		return fmt.Sprintf("%d%%", cut/100)
	}
	return fmt.Sprintf("%d.%02d%%", cut/100, cut%100)
}

// sentence says what a census comes to. Asked is that every node's keys are known.
func sentence(c Census, v Verdict, asked bool) string {
	if len(c.Tallies)+len(c.Whole) == 0 {
		return "nothing was counted"
	}
	c.Tallies = slices.DeleteFunc(slices.Clone(c.Tallies), func(t Tally) bool {
		return t.surveyed() && !slices.ContainsFunc(t.Groups, func(g Group) bool { return g.State.straggles() })
	})
	v.Objects -= v.Unjudged
	var text string
	switch {
	case v.Objects == 0 && v.Outcome == Unproven:
		text = fmt.Sprintf("no object of %s was found", resources(c))
	case v.Objects == 0:
		text = fmt.Sprintf("no object of %s is stored", resources(c))
	case v.Outcome == Found:
		text = fmt.Sprintf("%s: %s", wrong(c, v), strings.Join(kinds(v.Findings, asked), ", "))
	case v.Outcome == Unproven && v.Objects == 1:
		text = fmt.Sprintf("the one object of %s that was counted is stored %s", resources(c), aim(c))
	case v.Outcome == Unproven:
		text = fmt.Sprintf("the %s objects of %s that were counted are stored %s", Number(v.Objects), resources(c), aim(c))
	case v.Objects == 1:
		text = fmt.Sprintf("the one object of %s is stored %s", resources(c), aim(c))
	default:
		text = fmt.Sprintf("all %s objects of %s are stored %s", Number(v.Objects), resources(c), aim(c))
	}
	if v.Unjudged > 0 {
		text += fmt.Sprintf("; %s more can't be judged", Number(v.Unjudged))
	}
	if len(v.NotWhole) > 0 {
		text += fmt.Sprintf("; %s %s not counted to the end", listed(v.NotWhole), was(len(v.NotWhole)))
	}
	return text
}

func was(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

// wrong says how many are not as they should be.
func wrong(c Census, v Verdict) string {
	off, are := v.wrong(), "are"
	if off == 1 {
		are = "is"
	}
	target, _, _ := strings.Cut(aim(c), ":")
	return fmt.Sprintf("%s of %s objects of %s %s not stored %s", Number(off), Number(v.Objects), resources(c), are, target)
}

// resources names the one that was counted, or says how many were.
func resources(c Census) string {
	switch len(c.Tallies) {
	case 0:
		return listed(c.Whole)
	case 1:
		return c.Tallies[0].Resource
	}
	return Number(int64(len(c.Tallies))) + " resources"
}

// listed names the first three.
func listed(names []string) string {
	if len(names) > 3 {
		return fmt.Sprintf("%s and %s more", strings.Join(names[:3], ", "), Number(int64(len(names)-3)))
	}
	return strings.Join(names, ", ")
}

// aim is how the objects are to be stored: under one key, in plaintext, or how many in which way.
func aim(c Census) string {
	objects := map[encconfig.Key]int64{}
	for _, t := range c.Tallies {
		if t.Objects > 0 {
			objects[named(t.WriteKey)] += t.Objects
		}
	}
	var ways []string
	for _, k := range slices.SortedFunc(maps.Keys(objects), func(a, b encconfig.Key) int { return strings.Compare(a.String(), b.String()) }) {
		way := "under " + k.String()
		if k.Provider == encconfig.Identity {
			way = "in plaintext"
		}
		if len(objects) == 1 {
			return way
		}
		ways = append(ways, Number(objects[k])+" "+way)
	}
	return "as configured: " + strings.Join(ways, ", ")
}

// kinds says, the worst first, how many are stored in which other way.
func kinds(findings []Finding, asked bool) []string {
	var order []string
	objects, keys := map[string]int64{}, map[string][]Finding{}
	for _, f := range findings {
		way := f.way(asked)
		if objects[way] == 0 {
			order = append(order, way)
		}
		objects[way] += f.Objects
		keys[way] = append(keys[way], f)
	}
	var all []string
	for _, way := range order {
		all = append(all, Number(objects[way])+" "+strings.Replace(way, "KEY", which(keys[way]), 1))
	}
	return all
}

// which names the key that some findings are about, or says how many keys they are.
func which(findings []Finding) string {
	switch {
	case slices.ContainsFunc(findings, func(f Finding) bool { return f.others }):
		return "a great many keys"
	case len(findings) == 1:
		return findings[0].Key.String()
	}
	return Number(int64(len(findings))) + " keys"
}

// way is how values of a finding are stored. KEY stands for its key.
func (f Finding) way(asked bool) string {
	switch f.State {
	case Missing:
		switch {
		case f.Held && asked:
			return "under KEY, which the configuration lacks for them and a node has"
		case f.Held:
			return "under KEY, which the configuration has for other resources only"
		case asked && !f.others:
			return "under KEY, which no node has"
		}
		return "under KEY, which the configuration lacks for them"
	case Undecryptable:
		return "that KEY can't open"
	case Undecodable:
		return "that can't be decoded"
	case Unknown:
		return "of a provider that is not known"
	case Plaintext:
		if f.Unreadable {
			return "in plaintext, which the configuration does not read"
		}
		return "in plaintext"
	case Stale:
		return "under KEY, kept for reading only"
	case Current:
	}
	return "stored otherwise"
}
