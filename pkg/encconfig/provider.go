// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig

import (
	"fmt"
	"slices"
)

// Provider is the kind of a transformer in an EncryptionConfiguration.
type Provider string

// The providers that kube-apiserver knows (k8s.io/apiserver@v0.37.2 pkg/apis/apiserver/v1/types_encryption.go).
const (
	AESGCM    Provider = "aesgcm"
	AESCBC    Provider = "aescbc"
	Secretbox Provider = "secretbox"
	KMS       Provider = "kms"
	Identity  Provider = "identity"
)

// LocalProviders are the providers whose keys are in the configuration itself, the default first.
func LocalProviders() []Provider { return []Provider{AESGCM, Secretbox, AESCBC} }

// ParseProvider reads the name of a provider that can encrypt with a local key.
func ParseProvider(s string) (Provider, error) {
	if p := Provider(s); p.Local() {
		return p, nil
	}
	return "", fmt.Errorf("unknown provider %q: one of %q", s, LocalProviders())
}

// Local tells whether the provider's keys are in the configuration itself.
func (p Provider) Local() bool { return slices.Contains(LocalProviders(), p) }

// keySizes are the lengths of a key in bytes that kube-apiserver takes
// (k8s.io/apiserver@v0.37.2 pkg/apis/apiserver/validation/validation_encryption.go).
func (p Provider) keySizes() []int {
	if p == Secretbox {
		return []int{32}
	}
	return []int{16, 24, 32}
}
