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
