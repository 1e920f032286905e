// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"maps"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored/open"
)

// maxResources bounds the resources of a file. A cluster has some hundreds.
const maxResources = 4096

// tellers count the values of a file, one teller for each resource.
type tellers struct {
	scope scope
	// config is nil if there is nothing to judge by.
	config      *encconfig.Document
	description encconfig.Description
	names       int
	decrypt     bool

	reader  stored.Reader
	tellers map[string]teller
	// seen is the number of keys under the prefix that are an object's or kube-apiserver's own, kms that of values that could not be tried since they are a plugin's.
	seen, kms int64
}

type teller struct {
	counter *census.Counter
	// chain opens the values, nil if they are not to be opened.
	chain *open.Chain
}

// newTellers begins with the resources that were asked for by name: they are in the result even if the file has nothing of them.
func newTellers(in scope, config *encconfig.Document, names int, decrypt bool) (*tellers, error) {
	t := &tellers{scope: in, config: config, description: describe(config), names: names, decrypt: decrypt, tellers: map[string]teller{}}
	for _, r := range in.named {
		if _, err := t.teller(r.Name); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// count takes a value. It is a snapshot.Visit.
func (t *tellers) count(key, value []byte, _ int64) error {
	if t.scope.known(key) {
		t.seen++
	}
	at, ok := t.scope.locate(key)
	if !ok {
		return nil
	}
	one, err := t.teller(at.resource)
	if err != nil {
		return err
	}
	mark := t.reader.Read(value)
	if one.chain == nil {
		one.counter.Add(at.name, mark)
	} else {
		opening := one.chain.Open(key, value)
		if opening.Outcome == stored.NotSupported {
			t.kms++
		}
		one.counter.AddOpened(at.name, mark, opening)
	}
	if at.stray {
		one.counter.Stray(at.name)
	}
	return nil
}

func (t *tellers) teller(resource string) (teller, error) {
	if one, ok := t.tellers[resource]; ok {
		return one, nil
	}
	if len(t.tellers) == maxResources {
		return teller{}, hint.Errorf("--resources names those to look at", "the file has objects of more than %d resources", maxResources)
	}
	one := teller{counter: census.NewSurveyor(resource, t.names)}
	if t.config != nil && resource != Unfamiliar {
		one.counter = census.NewCounter(t.description, resource, t.names)
		if t.decrypt {
			var err error
			if one.chain, err = open.NewChain(t.config.TransformersFor(resource)); err != nil {
				return teller{}, err
			}
		}
	}
	t.tellers[resource] = one
	return one, nil
}

// census is what was counted.
func (t *tellers) census() census.Census {
	var tallies []census.Tally
	for _, one := range t.tellers {
		tallies = append(tallies, one.counter.Tally())
	}
	seen := slices.Collect(maps.Keys(t.tellers))
	_, unfamiliar := t.tellers[Unfamiliar]
	return census.Of(t.description, t.scope.whole(seen, unfamiliar, t.description), tallies...)
}

// notes says whether the configuration reads everything, and what could not be found out.
func (t *tellers) notes() []string {
	var notes []string
	if t.kms > 0 {
		notes = append(notes, plural(t.kms, "value is", "values are")+" a KMS plugin's, which a kube-apiserver alone can ask, and not opened")
	}
	if one, ok := t.tellers[Unfamiliar]; ok {
		notes = append(notes, plural(one.counter.Tally().Objects, "value is", "values are")+
			" under keys of which it can't be told what resource they are of; --resources leaves them out")
	}
	var objects int64
	for _, one := range t.tellers {
		tally := one.counter.Tally()
		objects += tally.Objects
		if slices.ContainsFunc(tally.Groups, func(g census.Group) bool { return !g.Readable }) {
			return notes // findings say what
		}
	}
	switch {
	case t.config == nil || objects == 0:
	case t.decrypt && t.kms == 0:
		notes = append(notes, "the configuration opens all that was counted: each value was tried")
	default:
		notes = append(notes, "the configuration has every key that the values name"+unlessTried(t.decrypt))
	}
	return notes
}

func unlessTried(tried bool) string {
	if tried {
		return ""
	}
	return "; --decrypt tells whether the keys fit"
}

// notFound tells of resources that were asked for by name and of which the file has nothing: there may be none, or another
// name was meant, which nobody but a cluster could tell.
func (t *tellers) notFound() []string {
	var list []string
	for _, r := range t.scope.named {
		if t.tellers[r.Name].counter.Tally().Objects == 0 {
			list = append(list, fmt.Sprintf("the file has no object of %s; kubectl api-resources lists what a cluster serves", r.Name))
		}
	}
	return list
}
