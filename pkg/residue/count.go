// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package residue

import (
	"cmp"
	"math"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

// Rest stands for the resources of copies that were counted when there was no more room: their sums by state, without resource
// and key. No resource can be called so.
const Rest = "<others>"

// Room is for how many bytes of resources and groups a Counter and a sum of Merge have room, as JSON at worst and with what a
// program needs for them: a cluster of some hundred resources takes a tenth of it.
const Room = 8 << 20

const (
	// frame is more than a resource or a group takes beside what stands in the files.
	frame = 300
	// worstByte is what a byte can become in JSON.
	worstByte = 6
)

// noNames is how many names are kept of what is found: there may be many copies of one object, and copies of what is deleted.
const noNames = 0

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
	room     int
	counters map[spot]*census.Counter
	met      map[met]bool
	// rest is how many copies there was no more room for.
	rest map[kind]int64
}

// spot is what is counted by itself, met a group of it.
type spot struct {
	place    Place
	resource string
}

type met struct {
	spot

	mark stored.Mark
}

// kind is what is told of copies in Rest.
type kind struct {
	place    Place
	state    census.State
	readable bool
}

// NewCounter counts what is in the scope.
func NewCounter(s Scope) *Counter { return newCounter(s, Room) }

func newCounter(s Scope, room int) *Counter {
	return &Counter{
		scope: s, patterns: encconfig.Rule{Resources: s.Resources}, room: room,
		counters: map[spot]*census.Counter{}, met: map[met]bool{}, rest: map[kind]int64{},
	}
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
	belongs, resource, _ := c.scope.Layout.Identify(r.Key)
	if belongs != etcdkey.Stored && belongs != etcdkey.Misfit || !c.patterns.Covers(resource.Name) {
		return
	}
	at := spot{p, resource.Name}
	if !c.fits(at, r.Mark) {
		one := census.NewCounter(c.scope.Config, resource.Name, noNames)
		one.Add(nil, r.Mark)
		for _, g := range one.Tally().Groups {
			c.rest[kind{p, g.State, g.Readable}] += g.Objects
		}
		return
	}
	if c.counters[at] == nil {
		c.counters[at] = census.NewCounter(c.scope.Config, resource.Name, noNames)
	}
	c.counters[at].Add(nil, r.Mark)
}

// fits tells whether there is room for a copy, and takes it.
func (c *Counter) fits(at spot, m stored.Mark) bool {
	if c.met[met{at, m}] {
		return true
	}
	room := roomOf(string(m.Provider), m.Version, m.Key, m.KeyID)
	if c.counters[at] == nil {
		room += roomOf(at.resource)
	}
	if room > c.room {
		return false
	}
	c.room -= room
	c.met[met{at, m}] = true
	return true
}

// roomOf is what texts take, in one frame.
func roomOf(texts ...string) int {
	room := frame
	for _, t := range texts {
		room += worstByte * len(t)
	}
	return room
}

// nameless is a tally as a part of Rest: the states of its groups, and neither resource nor key.
func nameless(t census.Tally) census.Tally {
	rest := census.Tally{Resource: Rest, Objects: t.Objects}
	for _, g := range t.Groups {
		rest.Groups = append(rest.Groups, census.Group{State: g.State, Readable: g.Readable, Others: true, Objects: g.Objects})
	}
	return rest
}

// Counts are what was counted until now, in the order of a table.
func (c *Counter) Counts() []Count {
	rest := map[Place]*census.Tally{}
	for k, copies := range c.rest {
		if rest[k.place] == nil {
			rest[k.place] = &census.Tally{Resource: Rest}
		}
		rest[k.place].Objects += copies
		rest[k.place].Groups = append(rest[k.place].Groups, census.Group{State: k.state, Readable: k.readable, Others: true, Objects: copies})
	}
	var list []Count
	for place, t := range rest {
		list = append(list, Count{place, *t})
	}
	for at, counter := range c.counters {
		list = append(list, Count{at.place, counter.Tally()})
	}
	slices.SortFunc(list, Count.compare)
	return list
}

func (c Count) compare(other Count) int {
	order := places()
	return cmp.Or(
		cmp.Compare(slices.Index(order, c.Place), slices.Index(order, other.Place)),
		cmp.Compare(c.Tally.Resource, other.Tally.Resource),
	)
}

// Merge adds up what was counted in different parts by the same configuration. Where that takes more than Room, the last ones
// in the order of a table become a part of Rest.
func Merge(parts ...[]Count) ([]Count, error) { return merge(Room, parts...) }

func merge(room int, parts ...[]Count) ([]Count, error) {
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
	for i, c := range list {
		if room -= c.room(); room < 0 && c.Tally.Resource != Rest {
			rest := slices.Clone(list[i:])
			for j := range rest {
				rest[j].Tally = nameless(rest[j].Tally)
			}
			return merge(math.MaxInt, list[:i], rest)
		}
	}
	return list, nil
}

// room is what a count takes.
func (c Count) room() int {
	room := roomOf(c.Tally.Resource)
	for _, g := range c.Tally.Groups {
		room += roomOf(string(g.Provider), g.Version, g.Key, g.KeyID)
	}
	return room
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
