// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// Prunable are the keys that rule 6 lets go: in no encrypting rule among the first keep keys, and needed by nothing.
func Prunable(d encconfig.Description, unneeded []encconfig.Key, keep int) []encconfig.Key {
	keep = max(keep, MinKeep)
	var kept []encconfig.Key
	for _, r := range d.EncryptingRules() {
		named := slices.DeleteFunc(slices.Clone(r.Keys), func(k encconfig.Key) bool { return k.Name == "" })
		kept = append(kept, named[:min(keep, len(named))]...)
	}
	var old []encconfig.Key
	for _, r := range d.EncryptingRules() {
		for _, k := range r.Keys {
			if k.Provider.Local() && !slices.ContainsFunc(kept, k.Is) &&
				slices.ContainsFunc(unneeded, k.Is) && !slices.ContainsFunc(old, k.Is) {
				old = append(old, k)
			}
		}
	}
	return old
}

// Candidates are the keys beyond the first keep keys of every rule, whether it encrypts or not: those that retention lets go, if
// nothing needs them. Keep is at least MinKeep.
func Candidates(d encconfig.Description, keep int) []encconfig.Key {
	var kept []encconfig.Key
	for _, r := range d.Rules {
		named := slices.DeleteFunc(slices.Clone(r.Keys), func(k encconfig.Key) bool { return k.Name == "" })
		kept = append(kept, named[:min(max(keep, MinKeep), len(named))]...)
	}
	return slices.DeleteFunc(d.Keys(), func(k encconfig.Key) bool { return !k.Provider.Local() || slices.ContainsFunc(kept, k.Is) })
}

// drop is rule 12.
func drop(o Observed, g Goal, agreed encconfig.Description) (Step, error) {
	there := slices.DeleteFunc(agreed.Keys(), func(k encconfig.Key) bool { return !slices.ContainsFunc(g.Drop, k.Is) })
	if len(there) == 0 {
		return closing(o), nil
	}
	return push(agreed, removal(agreed, there), o.Nodes[0].Name, o.names())
}

// removal takes keys out of every rule, which is refused if they write.
func removal(d encconfig.Description, list []encconfig.Key) encconfig.Change {
	return encconfig.Change{Kind: encconfig.Remove, Keys: list, Resources: d.Patterns()}
}

// drops tells whether b is a without keys that are to be dropped.
func (g Goal) drops(a, b encconfig.Description) bool {
	gone := slices.DeleteFunc(a.Keys(), b.Has)
	foreign := slices.ContainsFunc(gone, func(k encconfig.Key) bool { return !slices.ContainsFunc(g.Drop, k.Is) })
	return len(gone) > 0 && !foreign && reaches(a, b, removal(a, gone))
}
