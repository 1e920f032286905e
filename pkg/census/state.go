// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package census

import (
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

// State is what a stored value is, by what the configuration does with its resource.
type State string

// The states.
const (
	// Current is stored as the configuration would store it now.
	Current State = "current"
	// Stale is under a key that the configuration reads and does not write with.
	Stale State = "stale"
	// Plaintext is not encrypted, where the configuration encrypts.
	Plaintext State = "plaintext"
	// Missing is under a key that the configuration lacks for the resource: nobody can read it.
	Missing State = "missing"
	// Undecryptable names a key that the configuration has, which does not open it.
	Undecryptable State = "undecryptable"
	// Undecodable is damaged, or nothing that kube-apiserver would write.
	Undecodable State = "undecodable"
	// Unknown is encrypted by a provider that nobody knows.
	Unknown State = "unknown"
	// Unjudged is sound, and nobody said how it should be stored (rule 6).
	Unjudged State = "unjudged"
)

// states are all states, in the order of a table.
func states() []State {
	return []State{Current, Unjudged, Stale, Plaintext, Missing, Undecryptable, Undecodable, Unknown}
}

// straggles tells whether the objects of a state are named.
func (s State) straggles() bool { return s != Current && s != Unjudged }

// worstFirst are the states that a verdict tells of, in its order.
func worstFirst() []State {
	return []State{Missing, Undecryptable, Undecodable, Unknown, Plaintext, Stale}
}

func (s State) place() int { return slices.Index(states(), s) }

// expected is what the configuration does with a resource. Without keys nothing is expected.
type expected struct {
	keys []encconfig.Key
}

// expect gives it. The resource is written as in the configuration.
func expect(config encconfig.Description, resource string) expected {
	if rule := config.RuleFor(resource); rule != nil {
		return expected{keys: rule.Keys}
	}
	return expected{keys: []encconfig.Key{{Provider: encconfig.Identity}}}
}

func (e expected) writeKey() encconfig.Key {
	if len(e.keys) == 0 {
		return encconfig.Key{}
	}
	return e.keys[0]
}

// judge is rule 1, and rule 6 where nothing is expected. Readable is that the rule has the key that the value names.
func (e expected) judge(mark stored.Mark) (state State, readable bool) {
	switch {
	case mark.Damaged || mark.Form == stored.Undecodable:
		return Undecodable, false
	case mark.Form == stored.Unknown:
		return Unknown, false
	case len(e.keys) == 0:
		return Unjudged, false
	}
	at := slices.IndexFunc(e.keys, mark.Names)
	switch {
	case at == 0:
		return Current, true
	case mark.Form == stored.Plaintext:
		return Plaintext, at > 0
	case at > 0:
		return Stale, true
	}
	return Missing, false
}

// judgeOpened is rule 2. What the configuration may not open itself, or has no key for, is judged by what it says.
func (e expected) judgeOpened(mark stored.Mark, opening stored.Opening) (state State, readable bool) {
	switch opening.Outcome {
	case stored.OpenedCurrent:
		return Current, true
	case stored.OpenedStale:
		if mark.Form == stored.Plaintext {
			return Plaintext, true
		}
		return Stale, true
	case stored.NotAnObject:
		if mark.Form == stored.Plaintext || mark.Form == stored.Undecodable {
			return Undecodable, false // identity takes everything: no key was asked for that could have failed
		}
		return Undecryptable, false
	case stored.KeyDoesNotFit:
		return Undecryptable, false
	case stored.DamagedValue:
		if mark.Form == stored.Unknown {
			return Unknown, false
		}
		return Undecodable, false
	case stored.NoSuchKey, stored.NotSupported:
	}
	return e.judge(mark)
}
