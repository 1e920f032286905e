// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package census

import (
	"cmp"
	"errors"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

// Tally is what was counted of one resource.
type Tally struct {
	// Resource as EncryptionConfiguration writes it: "secrets", "deployments.apps".
	Resource string `json:"resource"`
	// WriteKey is the key that the resource is to be stored under, identity for plaintext; the zero value of a survey.
	WriteKey encconfig.Key `json:"writeKey"`
	// Objects is the number of values, strays included.
	Objects int64 `json:"objects"`
	// Groups in the order of a table.
	Groups []Group `json:"groups,omitempty"`
	// Strays is the number of values under keys that no object of the resource can have.
	Strays int64 `json:"strays,omitempty"`
	// StrayNames are the first of them.
	StrayNames []string `json:"strayNames,omitempty"`
}

// Census is what was counted by one configuration.
type Census struct {
	// Config is the digest of the configuration, empty if kube-apiserver has none.
	Config string `json:"config,omitempty"`
	// Tallies, one for each resource, sorted by its name.
	Tallies []Tally `json:"resources"`
	// Whole are the resources that were counted to their end, wildcards included: "*.*" if everything was.
	Whole []string `json:"whole,omitempty"`
}

// surveyed tells that nothing was expected of the resource (rule 6).
func (t Tally) surveyed() bool { return t.WriteKey.Provider == "" }

// Counter counts the values of one resource.
type Counter struct {
	expected expected
	tally    Tally
	groups   *groups
	names    int
}

// NewCounter counts a resource, written as in the configuration, which is the zero value for a kube-apiserver that has none. Of
// each group so many names are kept: FirstNames, another number, or AllNames.
func NewCounter(config encconfig.Description, resource string, names int) *Counter {
	return newCounter(expect(config, resource), resource, names)
}

// NewSurveyor counts a resource of which nothing is expected, to find out which keys its values need.
func NewSurveyor(resource string, names int) *Counter { return newCounter(expected{}, resource, names) }

func newCounter(e expected, resource string, names int) *Counter {
	return &Counter{
		expected: e, names: names, groups: newGroups(MaxGroups, names),
		tally: Tally{Resource: resource, WriteKey: e.writeKey()},
	}
}

// Add counts a value by what it says of itself. The name is the part of its key below the resource's prefix, "namespace/name"
// as a rule; it is not kept hold of.
func (c *Counter) Add(name []byte, mark stored.Mark) {
	state, readable := c.expected.judge(mark)
	c.add(name, mark, state, readable)
}

// AddOpened counts a value by what came of opening it with the keys of the configuration.
func (c *Counter) AddOpened(name []byte, mark stored.Mark, opening stored.Opening) {
	state, readable := c.expected.judgeOpened(mark, opening)
	c.add(name, mark, state, readable)
}

func (c *Counter) add(name []byte, mark stored.Mark, state State, readable bool) {
	c.tally.Objects++
	g := c.groups.at(idOf(state, readable, mark))
	g.Objects++
	if state.straggles() {
		g.Names = insert(g.Names, name, c.names)
	}
}

// Stray notes that the value just counted is under a key that no object of the resource can have.
func (c *Counter) Stray(name []byte) {
	c.tally.Strays++
	c.tally.StrayNames = insert(c.tally.StrayNames, name, c.names)
}

// Tally is what was counted until now.
func (c *Counter) Tally() Tally {
	t := c.tally
	t.Groups = c.groups.list()
	t.StrayNames = inOrder(t.StrayNames)
	return t
}

// Of puts tallies of different resources together. Whole are the resources that were counted to their end.
func Of(config encconfig.Description, whole []string, tallies ...Tally) Census {
	c := Census{Config: config.Digest, Tallies: slices.Clone(tallies), Whole: slices.Compact(slices.Sorted(slices.Values(whole)))}
	slices.SortFunc(c.Tallies, byResource)
	return c
}

func byResource(a, b Tally) int { return cmp.Compare(a.Resource, b.Resource) }

// Merge adds up what was counted in parts of the keyspace that have no value in common, keeping so many names of each group as
// each of the parts did. What one of them calls Whole is whole in the sum: a part that saw only some of a resource must not. It
// fails if they were counted by different configurations: their states do not mean the same.
func Merge(names int, parts ...Census) (Census, error) { return merge(MaxGroups, names, parts) }

func merge(limit, names int, parts []Census) (Census, error) {
	sums := map[string]*Counter{}
	var sum Census
	for i, part := range parts {
		if i > 0 && part.Config != sum.Config {
			return Census{}, errors.New("what was counted by two different configurations can't be added up")
		}
		sum.Config = part.Config
		sum.Whole = append(sum.Whole, part.Whole...)
		for _, t := range part.Tallies {
			c, ok := sums[t.Resource]
			if !ok {
				c = &Counter{names: names, groups: newGroups(limit, names), tally: Tally{Resource: t.Resource, WriteKey: t.WriteKey}}
				sums[t.Resource] = c
			}
			c.take(t)
		}
	}
	for _, c := range sums {
		sum.Tallies = append(sum.Tallies, c.Tally())
	}
	slices.SortFunc(sum.Tallies, byResource)
	sum.Whole = slices.Compact(slices.Sorted(slices.Values(sum.Whole)))
	return sum, nil
}

func (c *Counter) take(t Tally) {
	c.tally.Objects += t.Objects
	c.tally.Strays += t.Strays
	c.tally.StrayNames = first(slices.Concat(c.tally.StrayNames, t.StrayNames), c.names)
	for _, g := range t.Groups {
		c.groups.at(g.id()).take(g, c.names)
	}
}
