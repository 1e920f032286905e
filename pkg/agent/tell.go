// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"cmp"
	"errors"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored/open"
)

const (
	// mostTold is for how many bytes of resources, groups and names an answer has room. The rest of agentapi.MaxLine is for what
	// one more value takes, and for where to go on, which is as long as a key.
	mostTold = 12 << 20
	// mostResources is how many resources are counted by themselves for one request: far more than a cluster has.
	mostResources = 2000
	// frame is more than the JSON of a resource or a group takes beside what stands in etcd or in the configuration.
	frame = 300
	// longestName is more than a name is kept of, in bytes (package census), and worstByte what a byte can become in JSON.
	longestName, worstByte = 600, 6
)

// errFull ends a walk whose answer has no more room. It is gone on with by the next request.
var errFull = errors.New("the answer is full")

// teller counts the values of one or all resources. Of a value it keeps what package census keeps, for the time of a request.
type teller struct {
	layout  etcdkey.Layout
	doc     *encconfig.Document
	config  encconfig.Description
	decrypt bool
	names   int
	// one is the counter of the single resource that is counted, nil if all are.
	one      *counter
	counters map[etcdkey.Resource]*counter
	marks    stored.Reader
	// told is how many bytes the answer comes to at most.
	told int
	// failure is why the teller could not go on.
	failure error
}

// counter counts one resource.
type counter struct {
	*census.Counter

	resource etcdkey.Resource
	prefix   string
	writeKey encconfig.Key
	// chain is nil unless values are opened.
	chain *open.Chain
	// met are the groups whose size is told, last the one of the value before.
	met  map[group]bool
	last group
}

// group is no less than what package census tells groups apart by.
type group struct {
	mark    stored.Mark
	outcome stored.Outcome
}

// room is how many bytes a group takes at most, but for its names.
func (g group) room() int {
	return frame + worstByte*(len(g.mark.Provider)+len(g.mark.Version)+len(g.mark.Key)+len(g.mark.KeyID))
}

// newTeller counts by a configuration, which is nil for none.
func newTeller(layout etcdkey.Layout, doc *encconfig.Document, c agentapi.Counting) *teller {
	t := &teller{layout: layout, doc: doc, decrypt: c.Decrypt, names: c.Names, counters: map[etcdkey.Resource]*counter{}}
	if doc != nil {
		t.config = doc.Describe()
	}
	return t
}

// expect has the teller count no other resource than this one.
func (t *teller) expect(r etcdkey.Resource) (err error) {
	t.one, err = t.counter(r)
	return err
}

// counter is that of a resource. One without a name is of all keys that belong to none, and of the resources that are too many.
func (t *teller) counter(r etcdkey.Resource) (*counter, error) {
	if c, ok := t.counters[r]; ok {
		return c, nil
	}
	if r.Name == "" { // nothing is expected of it
		c := &counter{Counter: census.NewSurveyor("", t.names), prefix: t.layout.Root(), met: map[group]bool{}}
		t.counters[r] = c
		t.told += frame
		return c, nil
	}
	c := &counter{Counter: census.NewCounter(t.config, r.Name, t.names), resource: r, prefix: t.layout.Prefix(r), met: map[group]bool{}}
	c.writeKey = c.Tally().WriteKey
	if t.decrypt {
		var err error
		if c.chain, err = open.NewChain(t.doc.TransformersFor(r.Name)); err != nil {
			return nil, failf(agentapi.Invalid, "the keys for %s can't be used: %v", r.Name, err)
		}
	}
	t.counters[r] = c
	t.told += frame + worstByte*(len(r.Name)+len(c.writeKey.Provider)+len(c.writeKey.Name)+len(c.writeKey.Fingerprint))
	return c, nil
}

// take counts a value.
func (t *teller) take(key, value []byte, _ int64) error {
	if t.told >= mostTold {
		return errFull
	}
	c, stray, err := t.place(key)
	if err != nil {
		t.failure = err
		return err
	}
	if c != nil {
		t.add(c, key, value, stray)
	}
	return nil
}

// place tells which counter a key belongs to, none for kube-apiserver's own bookkeeping, and whether no object can have it.
func (t *teller) place(key []byte) (c *counter, stray bool, err error) {
	if t.one != nil {
		_, isObject := etcdkey.ObjectOf(t.one.prefix, key, t.one.resource.Scope)
		return t.one, !isObject, nil
	}
	kind, resource, _ := t.layout.Identify(key)
	switch kind {
	case etcdkey.Own:
		return nil, false, nil
	case etcdkey.Unfamiliar, etcdkey.Outside:
		resource, stray = etcdkey.Resource{}, true
	case etcdkey.Misfit:
		stray = true
	case etcdkey.Stored:
	}
	if _, known := t.counters[resource]; !known && len(t.counters) >= mostResources {
		resource, stray = etcdkey.Resource{}, true
	}
	c, err = t.counter(resource)
	return c, stray, err
}

func (t *teller) add(c *counter, key, value []byte, stray bool) {
	name, mark := bytes.TrimPrefix(key, []byte(c.prefix)), t.marks.Read(value)
	g := group{mark: mark}
	current := !mark.Damaged && mark.Names(c.writeKey)
	if c.chain == nil || mark.Form == stored.Undecodable { // it asks for no key that could be tried
		c.Add(name, mark)
	} else {
		opening := c.chain.Open(key, value)
		c.AddOpened(name, mark, opening)
		g.outcome = opening.Outcome
		current = opening.Outcome == stored.OpenedCurrent
	}
	if g != c.last && !c.met[g] {
		c.met[g] = true
		t.told += g.room()
	}
	c.last = g
	room := min(len(name), longestName)*worstByte + len(`"",`)
	if !current {
		t.told += room
	}
	if stray {
		c.Stray(name)
		t.told += room
	}
}

// tallies are what was counted, by resource.
func (t *teller) tallies() []census.Tally {
	var list []census.Tally
	for _, c := range t.counters {
		list = append(list, c.Tally())
	}
	slices.SortFunc(list, func(a, b census.Tally) int { return cmp.Compare(a.Resource, b.Resource) })
	return list
}
