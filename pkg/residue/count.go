// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package residue

import (
	"cmp"
	"errors"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"
)

// MaxResources is how many resources are counted in each place. A cluster has some hundreds.
const MaxResources = 2000

// noNames is how many names are kept of what is found: there may be many copies of one object, and copies of what is deleted.
const noNames = 0

// ErrResources is that what was searched names more resources than a cluster has.
var ErrResources = errors.New("the file has keys of more resources than a cluster can have")

// Count is how many copies were found in one place of one resource: the objects of the tally are copies.
type Count struct {
	Place Place        `json:"place"`
	Tally census.Tally `json:"tally"`
}

// Scope is which copies are counted, and by what they are judged.
type Scope struct {
	Layout etcdkey.Layout
	Config encconfig.Description
	// Resources as a configuration has them, wildcards included.
	Resources []string
}

// Counter counts copies.
type Counter struct {
	scope    Scope
	patterns encconfig.Rule
	counters map[Place]map[string]*census.Counter
	err      error
}

// NewCounter counts what is in the scope.
func NewCounter(s Scope) *Counter {
	return &Counter{scope: s, patterns: encconfig.Rule{Resources: s.Resources}, counters: map[Place]map[string]*census.Counter{}}
}

// PlaceOf is where in a database a revision belongs (rule 4).
func PlaceOf(revision, compacted int64) Place {
	if revision > compacted {
		return Superseded
	}
	return Freed
}

// Add counts a copy.
func (c *Counter) Add(p Place, r Record) {
	kind, resource, _ := c.scope.Layout.Identify(r.Key)
	if kind != etcdkey.Stored && kind != etcdkey.Misfit || !c.patterns.Covers(resource.Name) {
		return
	}
	of := c.counters[p]
	if of == nil {
		of = map[string]*census.Counter{}
		c.counters[p] = of
	}
	if of[resource.Name] == nil {
		if len(of) == MaxResources {
			c.err = ErrResources
			return
		}
		of[resource.Name] = census.NewCounter(c.scope.Config, resource.Name, noNames)
	}
	of[resource.Name].Add(nil, r.Mark)
}

// Counts are what was counted until now, in the order of a table. ErrResources is that it is not all.
func (c *Counter) Counts() ([]Count, error) {
	var list []Count
	for place, of := range c.counters {
		for _, counter := range of {
			list = append(list, Count{place, counter.Tally()})
		}
	}
	slices.SortFunc(list, Count.compare)
	return list, c.err
}

func (c Count) compare(other Count) int {
	order := places()
	return cmp.Or(
		cmp.Compare(slices.Index(order, c.Place), slices.Index(order, other.Place)),
		cmp.Compare(c.Tally.Resource, other.Tally.Resource),
	)
}

// Merge adds up what was counted in different parts by the same configuration.
func Merge(parts ...[]Count) ([]Count, error) {
	sums := map[Place][]census.Census{}
	for _, c := range slices.Concat(parts...) {
		sums[c.Place] = append(sums[c.Place], census.Census{Tallies: []census.Tally{c.Tally}})
	}
	var list []Count
	for place, of := range sums {
		sum, err := census.Merge(noNames, of...)
		if err != nil {
			return nil, err
		}
		for _, t := range sum.Tallies {
			list = append(list, Count{place, t})
		}
	}
	slices.SortFunc(list, Count.compare)
	return list, nil
}

// Old are the copies in a place that are not under the key that the resource is stored with now (rule 5).
func (c Count) Old() (groups []census.Group) {
	for _, g := range c.Tally.Groups {
		switch g.State {
		case census.Stale, census.Plaintext, census.Missing, census.Unknown:
			groups = append(groups, g)
		case census.Current, census.Undecodable, census.Undecryptable, census.Unjudged:
		}
	}
	return groups
}
