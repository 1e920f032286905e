// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
)

// verifiedOf is the last verification on record, nil if there is none. It is about the time when it was made: whether what it
// was judged by is still what the kube-apiservers run with, and whether objects were stored anew since, is told besides.
func verifiedOf(st *v1alpha1.EncryptionStatus, book *ledger.Ledger) *v1alpha1.VerificationStatus {
	v := book.Verification
	if v == nil {
		return nil
	}
	current, known := st.Digest, st.Digest != ""
	if st.Encryption == v1alpha1.Disabled { // the record may know of one that was
		current, known = "", true
	}
	told := &v1alpha1.VerificationStatus{
		Time: metav1.Time{Time: v.Time}, By: v.By, Outcome: outcome(v.Outcome), Digest: v.Digest, Revision: v.Revision,
		Decrypted: v.Decrypted, Everything: encconfig.Rule{Resources: v.Whole}.Covers("*.*"), Objects: v.Objects, NotAsConfigured: v.Off,
		SameConfiguration: known && v.Digest == current,
		Resources:         []string{},
	}
	for _, res := range v.Resources {
		told.Resources = append(told.Resources, res.Name)
	}
	slices.Sort(told.Resources)
	for _, r := range book.Rotations {
		told.MigratedSince = told.MigratedSince || r.FollowedAt().After(v.Time)
	}
	return told
}

func outcome(of string) string {
	switch of {
	case ledger.Clean:
		return v1alpha1.Clean
	case ledger.Found:
		return v1alpha1.Found
	}
	return v1alpha1.Unproven
}
