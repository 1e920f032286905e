// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
)

// leftOutOf is the rotation that some nodes were left out of and after which no other has changed the configuration, nil
// if there is none.
func leftOutOf(book *ledger.Ledger) *ledger.Rotation {
	for i := len(book.Rotations) - 1; i >= 0; i-- {
		r := &book.Rotations[i]
		if len(r.LeftOut) > 0 {
			return r
		}
		if r.Config == nil || r.Config.Digest != r.StartDigest {
			return nil
		}
	}
	return nil
}

// behind are the nodes that were left out of a rotation, are still control-plane nodes, and do not run its configuration.
func behind(st *v1alpha1.EncryptionStatus, s *Seen) (names []string) {
	r := leftOutOf(s.View.Ledger)
	if r == nil {
		return nil
	}
	for _, n := range st.Nodes {
		if slices.Contains(r.LeftOut, n.Name) && n.State != v1alpha1.StateUpdated {
			names = append(names, n.Name)
		}
	}
	return names
}

// leftBehind says what is wrong with them.
func leftBehind(st *v1alpha1.EncryptionStatus, s *Seen) (problems []string) {
	for _, name := range behind(st, s) {
		problems = append(problems, fmt.Sprintf("node %s was left out of the rotation to key %s and does not run its configuration: "+
			"it may not be able to read what is written with that key, and may write with an older one", name, leftOutOf(s.View.Ledger).To))
	}
	return problems
}
