// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// Counted is what the rules need to know of a count of what etcd holds. Its zero value forbids nothing: it stands for a
// count that found nothing against the migration, and for one that could not be made.
type Counted struct {
	// Stored are the keys that values were seen under. Where they were too many to be told apart: every key of the
	// configuration.
	Stored []encconfig.Key
	// Encrypted: a value was seen, of a resource that is written in plaintext, that is not plaintext.
	Encrypted bool
}

// unneeded are the keys that nothing needs, neither by the record nor by what was counted.
func (o Observed) unneeded() []encconfig.Key {
	if o.Counted == nil {
		return o.Unneeded
	}
	return slices.DeleteFunc(slices.Clone(o.Unneeded), func(k encconfig.Key) bool {
		return slices.ContainsFunc(o.Counted.Stored, k.Is)
	})
}
