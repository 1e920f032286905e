// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"slices"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"
)

// Unfamiliar stands for the resource of keys of which nobody knows whose they are. No resource can have the name.
const Unfamiliar = "<unfamiliar>"

// scope is which keys of a file are looked at.
type scope struct {
	layout etcdkey.Layout
	// named are the resources that were asked for by their names. What is under their prefixes is theirs.
	named []named
	// patterns are the wildcards that were asked for, "*.*" if nothing was asked for.
	patterns encconfig.Rule
}

type named struct {
	etcdkey.Resource
	prefix []byte
}

// place is whose a key is.
type place struct {
	// resource as EncryptionConfiguration writes it, or Unfamiliar.
	resource string
	// name is the part of the key below the resource's prefix.
	name []byte
	// stray is that no object of the resource can have this key.
	stray bool
}

func newScope(prefix string, resources []string) (scope, error) {
	layout, err := etcdkey.NewLayout(prefix, nil, nil)
	if err != nil {
		return scope{}, err
	}
	s := scope{layout: layout}
	for _, name := range resources {
		if strings.HasPrefix(name, "*") {
			if err := encconfig.CheckResources([]string{name}); err != nil {
				return scope{}, err
			}
			s.patterns.Resources = append(s.patterns.Resources, name)
			continue
		}
		r, err := etcdkey.ParseResource(name)
		if err != nil {
			return scope{}, err
		}
		s.named = append(s.named, named{r, []byte(layout.Prefix(r))})
	}
	if len(resources) == 0 {
		s.patterns.Resources = []string{"*.*"}
	}
	return s, nil
}

// known tells whether a key is one that a kube-apiserver with this prefix writes, as far as that can be told.
func (s scope) known(key []byte) bool {
	kind, _, _ := s.layout.Identify(key)
	return kind == etcdkey.Stored || kind == etcdkey.Own
}

// locate tells whose a key is, and whether it is looked at.
func (s scope) locate(key []byte) (place, bool) {
	for _, r := range s.named {
		if below, ok := bytes.CutPrefix(key, r.prefix); ok {
			_, fits := etcdkey.ObjectOf(string(r.prefix), key, r.Scope)
			return place{r.Name, below, !fits}, true
		}
	}
	if len(s.patterns.Resources) == 0 {
		return place{}, false
	}
	kind, r, _ := s.layout.Identify(key)
	switch kind {
	case etcdkey.Stored, etcdkey.Misfit:
		return place{r.Name, key[len(s.layout.Prefix(r)):], kind == etcdkey.Misfit}, s.patterns.Covers(r.Name)
	case etcdkey.Unfamiliar:
		return place{Unfamiliar, key, true}, true
	case etcdkey.Own, etcdkey.Outside:
	}
	return place{}, false
}

// whole are the resources that were counted to the end. With keys that are unfamiliar no wildcard is: they may be of resources
// that it stands for.
func (s scope) whole(seen []string, unfamiliar bool, config encconfig.Description) []string {
	var list []string
	for _, r := range s.named {
		list = append(list, r.Name)
	}
	if !unfamiliar {
		return append(list, s.patterns.Resources...)
	}
	for _, r := range slices.Concat(seen, config.Patterns()) {
		if r != Unfamiliar && !strings.HasPrefix(r, "*") && s.patterns.Covers(r) {
			list = append(list, r)
		}
	}
	return list
}
