// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig

import (
	"errors"
	"fmt"
	"slices"
)

// ChangeKind names one change to a configuration.
type ChangeKind string

// The changes. Each is one step of a plan; what must be proven before each is the business of package plan.
const (
	// KeepAll changes nothing: it hands on a file as it is.
	KeepAll ChangeKind = "keep"
	// AddReadKey puts a key behind the write key of every rule that it applies to, and identity behind all keys.
	AddReadKey ChangeKind = "add-read-key"
	// AddWriteKey puts a new key in front of every encrypting rule. Right with one kube-apiserver only.
	AddWriteKey ChangeKind = "add-write-key"
	// Promote moves a key that every rule it applies to reads to the front. Identity is promoted like a key.
	Promote ChangeKind = "promote"
	// Remove takes keys that write nothing out of every rule that it applies to.
	Remove ChangeKind = "remove"
)

// Change is a change to a configuration, as an instruction that carries no key material.
type Change struct {
	Kind ChangeKind `json:"kind"`
	// Keys that are added, promoted (one) or removed (one or more), by provider and name.
	Keys []Key `json:"keys,omitempty"`
	// Resources that the change applies to, wildcards included; rules are split where it applies to a part of them. Empty
	// for every rule that encrypts, whole.
	Resources []string `json:"resources,omitempty"`
}

// ErrRefused is returned for a change that would break a configuration. Nothing is changed then.
var ErrRefused = errors.New("refused")

// Apply gives the description after the change, without its digest. A key that is new has the fingerprint that the
// change carries; one that another rule has already keeps its own.
//
// The order of a rule's keys, and which resources share a rule, is all that a change ever changes: what it does not
// apply to stays as it is.
func (c Change) Apply(d Description) (Description, error) {
	if err := c.check(d); err != nil {
		return Description{}, err
	}
	pieces, err := c.pieces(d)
	if err != nil {
		return Description{}, err
	}
	c = c.known(d)
	next := Description{Rules: make([]Rule, len(pieces))}
	for i, p := range pieces {
		next.Rules[i] = Rule{Resources: p.resources, Keys: p.keys(d)}
		if !p.scoped {
			continue
		}
		keys, err := c.reorder(p.keys(d))
		if err != nil {
			return Description{}, fmt.Errorf("%s in the rule for %q: %w", c.Kind, p.resources, err)
		}
		next.Rules[i].Keys = keys
	}
	return next, nil
}

// check refuses what would not be a change of its kind.
func (c Change) check(d Description) error {
	everywhere := len(c.Resources) == 0
	// A name stands for one key in the whole file, also in the rules that do not encrypt.
	if at := slices.IndexFunc(d.Keys(), func(k Key) bool { return slices.ContainsFunc(c.Keys, k.Is) }); at >= 0 && c.adds() && everywhere {
		return fmt.Errorf("%s: key %s is there already: %w", c.Kind, d.Keys()[at], ErrRefused)
	}
	switch {
	case c.Kind != KeepAll && everywhere && len(d.EncryptingRules()) == 0:
		return fmt.Errorf("%s: no resource is encrypted: %w", c.Kind, ErrRefused)
	case !everywhere && (c.Kind == KeepAll || c.Kind == AddWriteKey):
		return fmt.Errorf("%s is for all resources: %w", c.Kind, ErrRefused)
	}
	return nil
}

func (c Change) adds() bool { return c.Kind == AddReadKey || c.Kind == AddWriteKey }

// NewKey tells whether the change needs a key that the configuration does not have.
func (c Change) NewKey(d Description) bool {
	return c.adds() && slices.ContainsFunc(c.Keys, func(k Key) bool { return k.Provider.Local() && !d.Has(k) })
}

// known is the change with the keys as the configuration has them already.
func (c Change) known(d Description) Change {
	list := slices.Clone(c.Keys)
	for i, k := range list {
		if at := slices.IndexFunc(d.Keys(), k.Is); at >= 0 {
			list[i] = d.Keys()[at]
		}
	}
	c.Keys = list
	return c
}

// reorder is Apply for the keys of one rule.
func (c Change) reorder(keys []Key) ([]Key, error) {
	switch c.Kind {
	case KeepAll:
		return keys, nil
	case AddReadKey, AddWriteKey:
		return c.insert(keys)
	case Promote:
		return c.promote(keys)
	case Remove:
		return c.remove(keys)
	default:
		return nil, fmt.Errorf("unknown change: %w", ErrRefused)
	}
}

func (c Change) insert(keys []Key) ([]Key, error) {
	k, err := c.one()
	switch {
	case err != nil:
		return nil, err
	case slices.ContainsFunc(keys, k.Is): // another rule lacks it
		return keys, nil
	case k.Provider == Identity:
		return append(slices.Clone(keys), k), nil
	case c.Kind == AddWriteKey:
		return slices.Insert(slices.Clone(keys), 0, k), nil
	}
	return slices.Insert(slices.Clone(keys), 1, k), nil
}

func (c Change) promote(keys []Key) ([]Key, error) {
	k, err := c.one()
	if err != nil {
		return nil, err
	}
	from := slices.IndexFunc(keys, k.Is)
	if from < 0 {
		return nil, fmt.Errorf("key %s is not a read key: %w", k, ErrRefused)
	}
	next := slices.Clone(keys)
	promoted := next[from]
	return slices.Insert(slices.Delete(next, from, from+1), 0, promoted), nil
}

func (c Change) remove(keys []Key) ([]Key, error) {
	listed := func(k Key) bool { return slices.ContainsFunc(c.Keys, k.Is) }
	if listed(keys[0]) {
		return nil, fmt.Errorf("key %s is the write key: %w", keys[0], ErrRefused)
	}
	return slices.DeleteFunc(slices.Clone(keys), listed), nil
}

// one is the one key of a change that has one. Identity is one where the change names resources: all that encrypts
// has its own command to end it.
func (c Change) one() (Key, error) {
	if len(c.Keys) == 1 {
		k := c.Keys[0]
		if k.Provider.Local() && validName(k.Name) || k == (Key{Provider: Identity}) && len(c.Resources) > 0 {
			return k, nil
		}
	}
	return Key{}, fmt.Errorf("needs one key of a local provider: %w", ErrRefused)
}
