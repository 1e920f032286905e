// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// Goal is where to go.
type Goal struct {
	// Target is the key that shall write, which may not exist yet, or identity. With a fingerprint it is a key that exists, in the
	// configuration or in the history of a node.
	Target encconfig.Key
	// Resources that shall be written with it, wildcards included. Empty for all that is encrypted.
	Resources []string
	// Flags is what shall become of the kube-apiservers' flags.
	Flags FlagsGoal
	// Abort asks for the way back: Target shall go before it was ever used.
	Abort bool
	// Drop are keys that shall leave the configuration: somebody has proven that nothing needs them. Then there is no Target.
	Drop []encconfig.Key
	// Keep is how many keys a rule keeps, the write key included; at least 2.
	Keep int
}

// scope are the resources that a change on the way to the goal applies to: with a key that encrypts, what is encrypted
// already follows, so that one key writes everywhere.
func (g Goal) scope(d encconfig.Description) []string {
	if len(g.Resources) == 0 || g.Target.Provider == encconfig.Identity {
		return g.Resources
	}
	scope := slices.Clone(g.Resources)
	for _, r := range d.EncryptingRules() {
		scope = append(scope, r.Resources...)
	}
	return encconfig.Broadest(scope)
}

// rules are the rules that the goal is about, as they are now.
func (g Goal) rules(d encconfig.Description) []encconfig.Rule {
	if len(g.Resources) == 0 {
		return d.EncryptingRules()
	}
	return d.Scope(g.scope(d))
}

// reads tells whether everything that the goal is about can be read with its key.
func (g Goal) reads(d encconfig.Description) bool {
	return !slices.ContainsFunc(g.rules(d), func(r encconfig.Rule) bool { return r.Index(g.Target) < 0 })
}

// Writes tells whether everything that the goal is about is written with its key.
func (g Goal) Writes(d encconfig.Description) bool {
	return !slices.ContainsFunc(g.rules(d), func(r encconfig.Rule) bool { return !r.WriteKey().Is(g.Target) })
}

// Covers tells whether the goal is about a resource that a configuration has a rule for: then the resource is written
// with the goal's key in the end, and what is stored of it is migrated.
func (g Goal) Covers(d encconfig.Description, resource string) bool {
	rule := d.RuleFor(resource)
	switch {
	case rule == nil || !rule.WriteKey().Is(g.Target):
		return false
	case len(g.Resources) == 0 || g.Target.Provider != encconfig.Identity:
		return rule.Encrypts()
	}
	return encconfig.Rule{Resources: g.Resources}.Covers(resource)
}

// prunable are the keys that may leave at the end of a rotation.
func (g Goal) prunable(d encconfig.Description, o Observed) []encconfig.Key {
	if len(g.Resources) > 0 {
		return nil
	}
	return Prunable(d, o.unneeded(), g.Keep)
}
