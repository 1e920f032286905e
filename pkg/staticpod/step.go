// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package staticpod

import "github.com/kubectl-encryption/kubectl-encryption/pkg/yamledit"

// step is one edit. It returns the document as it is if there is nothing to do.
type step func(*pod) (*yamledit.Document, error)

// apply makes edits one after the other, each on the manifest that the one before has made.
func (p *pod) apply(steps ...step) ([]byte, error) {
	for _, s := range steps {
		doc, err := s(p)
		if err != nil {
			return nil, err
		}
		if p, err = podOf(doc); err != nil {
			return nil, err
		}
	}
	return p.doc.Bytes(), nil
}
