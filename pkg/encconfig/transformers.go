// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig

import "github.com/kubectl-encryption/kubectl-encryption/pkg/keys"

// Transformer is one step of a rule with what its key is made of. It stays where the Document does.
type Transformer struct {
	Key Key
	// Secret is the key material of a local provider, and the zero value of any other.
	Secret keys.Secret
}

// TransformersFor are what a resource is read with, in the order in which they are tried; the first one writes. A resource
// that no rule applies to has identity alone. It is written as in the file: "secrets", "deployments.apps".
func (d *Document) TransformersFor(resource string) []Transformer {
	for _, r := range d.rules {
		if !(Rule{Resources: r.resources}).Covers(resource) {
			continue
		}
		list := make([]Transformer, len(r.chain))
		for i, t := range r.chain {
			list[i] = Transformer{Key: t.key, Secret: t.secret}
		}
		return list
	}
	return []Transformer{{Key: Key{Provider: Identity}}}
}
