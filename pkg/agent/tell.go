// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"maps"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored/open"
)

const (
	// mostNamed is for how many bytes of names an answer has room. The rest of agentapi.MaxLine is for the groups.
	mostNamed = 12 << 20
	// longestName is more than a name is kept of, in bytes (package census), and worstByte what a byte can become in JSON.
	longestName, worstByte = 600, 6
)

// errFull ends a walk whose answer has no more room for names. It is gone on with by the next request.
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
	counters map[string]*counter
	marks    stored.Reader
	// named is how many bytes the names come to at most.
	named int
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
}

// newTeller counts by a configuration, which is nil for none.
func newTeller(layout etcdkey.Layout, doc *encconfig.Document, c agentapi.Counting) *teller {
	t := &teller{layout: layout, doc: doc, decrypt: c.Decrypt, names: c.Names, counters: map[string]*counter{}}
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

// counter is that of a resource. One without a name is of all keys that belong to none.
func (t *teller) counter(r etcdkey.Resource) (*counter, error) {
	if c, ok := t.counters[r.Name]; ok {
		return c, nil
	}
	if r.Name == "" { // nothing is expected of it
		c := &counter{Counter: census.NewSurveyor("", t.names), prefix: t.layout.Root()}
		t.counters[""] = c
		return c, nil
	}
	c := &counter{Counter: census.NewCounter(t.config, r.Name, t.names), resource: r, prefix: t.layout.Prefix(r)}
	c.writeKey = c.Tally().WriteKey
	if t.decrypt {
		var rule []open.Transformer
		for _, step := range t.doc.TransformersFor(r.Name) {
			rule = append(rule, open.Transformer(step))
		}
		var err error
		if c.chain, err = open.NewChain(rule); err != nil {
			return nil, failf(agentapi.Invalid, "the keys for %s can't be used: %v", r.Name, err)
		}
	}
	t.counters[r.Name] = c
	return c, nil
}

// take counts a value.
func (t *teller) take(key, value []byte, _ int64) error {
	if t.named >= mostNamed {
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
	c, err = t.counter(resource)
	return c, stray, err
}

func (t *teller) add(c *counter, key, value []byte, stray bool) {
	name, mark := key[len(c.prefix):], t.marks.Read(value)
	current := !mark.Damaged && c.writeKey.Is(encconfig.Key{Provider: mark.Provider, Name: mark.Key})
	if c.chain == nil || mark.Form == stored.Undecodable { // it asks for no key that could be tried
		c.Add(name, mark)
	} else {
		opening := c.chain.Open(key, value)
		c.AddOpened(name, mark, opening)
		current = opening.Outcome == stored.OpenedCurrent
	}
	room := min(len(name), longestName)*worstByte + len(`"",`)
	if !current {
		t.named += room
	}
	if stray {
		c.Stray(name)
		t.named += room
	}
}

// tallies are what was counted, by resource.
func (t *teller) tallies() []census.Tally {
	var list []census.Tally
	for _, name := range slices.Sorted(maps.Keys(t.counters)) {
		list = append(list, t.counters[name].Tally())
	}
	return list
}
