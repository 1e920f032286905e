// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeadm

import (
	"crypto/rand"
	"encoding/hex"
)

// NewToken returns a bootstrap token.
func NewToken() string {
	return randomHex(3) + "." + randomHex(8)
}

// NewCertificateKey returns the key under which kubeadm hands the cluster's
// certificates from node to node.
func NewCertificateKey() string {
	return randomHex(32)
}

func randomHex(bytes int) string {
	raw := make([]byte, bytes)
	// Never returns an error: see crypto/rand.
	_, _ = rand.Read(raw)
	return hex.EncodeToString(raw)
}

// AuditPolicyFile is the audit policy: who did what to which object, without
// the objects themselves.
func AuditPolicyFile() []byte {
	return []byte(`apiVersion: audit.k8s.io/v1
kind: Policy
omitStages:
  - RequestReceived
rules:
  - level: Metadata
`)
}
