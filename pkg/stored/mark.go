// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package stored

import "github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"

// Form is how a value is stored.
type Form string

const (
	// Plaintext is an object in protobuf, JSON or CBOR that whoever has the bytes can read.
	Plaintext Form = "plaintext"
	// Encrypted is a value of one of the providers that kube-apiserver knows.
	Encrypted Form = "encrypted"
	// Unknown says that it is encrypted ("k8s:enc:"), by a provider or in a version that nobody knows.
	Unknown Form = "unknown"
	// Undecodable is neither an object nor anything that says how it is encrypted.
	Undecodable Form = "undecodable"
)

// Bounds of what a Mark keeps of a value, in bytes. A name that is longer makes the value Damaged or Undecodable.
const (
	// MaxName bounds the names of the provider, the version and the key. kube-apiserver bounds none of them.
	MaxName = 256
	// MaxKeyID bounds the id of a key of KMS v2
	// (k8s.io/apiserver@v0.37.2 pkg/storage/value/encrypt/envelope/kmsv2/envelope.go, KeyIDMaxSize).
	MaxKeyID = 1024
)

// Mark is what a stored value says of itself, without any key. It is comparable, and the strings in it are data that
// somebody else wrote: whoever prints them escapes them, and whoever counts by them bounds the number of groups.
type Mark struct {
	Form Form
	// Provider is that of an encrypted value, Identity for plaintext, whatever the prefix says for an unknown one.
	Provider encconfig.Provider
	// Version is that of the prefix, "v1" or "v2"; empty unless the value is encrypted or unknown.
	Version string
	// Key is the name of the key, for KMS that of the plugin. Of a name with a ':' in it, it is the part before.
	Key string
	// KeyID is the id that the plugin of KMS v2 gave its key.
	KeyID string
	// Damaged tells that the prefix is whole but that what follows can't be a value of the provider: no key opens it.
	// It must not be counted as current. What is encrypted and not Damaged may still be altered: only a key tells.
	Damaged bool
}

// Names tells whether a value is one that kube-apiserver would read with the key: by provider and name, for KMS by version too
// (k8s.io/apiserver@v0.37.2 pkg/server/options/encryptionconfig/config.go, kmsPrefixTransformer).
func (m Mark) Names(k encconfig.Key) bool {
	return k.Is(encconfig.Key{Provider: m.Provider, Name: m.Key}) && (k.Provider != encconfig.KMS || k.Version == m.Version)
}
