// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package residue

import (
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
)

// Apart moves to Superseded what only looks Freed by its revision (rule 4). Held are the values that could be read at the compacted
// revision: one copy of each is not in a free page.
func Apart(counts []Count, held []census.Tally) ([]Count, error) {
	var apart []Count
	for _, c := range counts {
		at := slices.IndexFunc(held, func(t census.Tally) bool { return t.Resource == c.Tally.Resource })
		if c.Place != Freed || at < 0 {
			apart = append(apart, c)
			continue
		}
		freed, superseded := empty(c, Freed), empty(c, Superseded)
		for _, g := range c.Tally.Groups {
			still := min(g.Objects, likeIt(held[at], g))
			freed.put(g, g.Objects-still)
			superseded.put(g, still)
		}
		apart = append(apart, freed, superseded)
	}
	return Merge(apart)
}

// empty is a count of the same resource in a place, of nothing yet.
func empty(c Count, p Place) Count {
	return Count{Place: p, Tally: census.Tally{Resource: c.Tally.Resource, WriteKey: c.Tally.WriteKey}}
}

// put adds so many copies of a group, if there are any.
func (c *Count) put(g census.Group, copies int64) {
	if copies == 0 {
		return
	}
	g.Objects = copies
	c.Tally.Groups = append(c.Tally.Groups, g)
	c.Tally.Objects += copies
}

// likeIt is how many values of a tally are under the key of a group. Copies have no KeyID.
func likeIt(t census.Tally, g census.Group) (n int64) {
	for _, other := range t.Groups {
		if other.State == g.State && other.Others == g.Others && other.NamedKey().Is(g.NamedKey()) && other.Version == g.Version {
			n += other.Objects
		}
	}
	return n
}
