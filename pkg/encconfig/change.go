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

// The changes. Each is one step of a rotation; what must be proven before each is the business of package plan.
const (
	// KeepAll changes nothing: it hands on a file as it is.
	KeepAll ChangeKind = "keep"
	// AddReadKey puts a new key behind the write key of every encrypting rule.
	AddReadKey ChangeKind = "add-read-key"
	// AddWriteKey puts a new key in front of every encrypting rule. Right with one kube-apiserver only.
	AddWriteKey ChangeKind = "add-write-key"
	// Promote moves a key that every encrypting rule reads to the front.
	Promote ChangeKind = "promote"
	// Remove takes keys that write nothing out of every encrypting rule.
	Remove ChangeKind = "remove"
)

// Change is a change to a configuration, as an instruction that carries no key material.
type Change struct {
	Kind ChangeKind `json:"kind"`
	// Keys that are added, promoted (one) or removed (one or more), by provider and name.
	Keys []Key `json:"keys,omitempty"`
}

// ErrRefused is returned for a change that would break a configuration. Nothing is changed then.
var ErrRefused = errors.New("refused")

// Apply gives the description after the change, without its digest. A key that is added has the fingerprint
// that the change carries.
//
// The order of a rule's keys is all that a change ever changes: rules that do not encrypt (identity first),
// resources and other keys stay as they are.
func (c Change) Apply(d Description) (Description, error) {
	// A name stands for one key in the whole file, also in the rules that do not encrypt.
	if at := slices.IndexFunc(d.Keys(), func(k Key) bool { return slices.ContainsFunc(c.Keys, k.Is) }); at >= 0 && c.adds() {
		return Description{}, fmt.Errorf("%s: key %s is there already: %w", c.Kind, d.Keys()[at], ErrRefused)
	}
	next := Description{Rules: make([]Rule, len(d.Rules))}
	for i, r := range d.Rules {
		next.Rules[i] = r
		if !r.Encrypts() {
			continue
		}
		keys, err := c.reorder(r.Keys)
		if err != nil {
			return Description{}, fmt.Errorf("%s in the rule for %q: %w", c.Kind, r.Resources, err)
		}
		next.Rules[i].Keys = keys
	}
	if c.Kind != KeepAll && len(d.EncryptingRules()) == 0 {
		return Description{}, fmt.Errorf("%s: no resource is encrypted: %w", c.Kind, ErrRefused)
	}
	return next, nil
}

func (c Change) adds() bool { return c.Kind == AddReadKey || c.Kind == AddWriteKey }

// reorder is Apply for the keys of one encrypting rule.
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
	if err != nil {
		return nil, err
	}
	at := 1
	if c.Kind == AddWriteKey {
		at = 0
	}
	return slices.Insert(slices.Clone(keys), at, k), nil
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

func (c Change) one() (Key, error) {
	if len(c.Keys) != 1 || !c.Keys[0].Provider.Local() || !validName(c.Keys[0].Name) {
		return Key{}, fmt.Errorf("needs one key of a local provider: %w", ErrRefused)
	}
	return c.Keys[0], nil
}
