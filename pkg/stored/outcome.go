// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package stored

import "github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"

// Outcome is what came of opening a value with the keys of one configuration: one of a closed set.
type Outcome string

const (
	// OpenedCurrent was opened by the write key: kube-apiserver would store it in the same way again.
	OpenedCurrent Outcome = "opened-current"
	// OpenedStale was opened by a key that only reads.
	OpenedStale Outcome = "opened-stale"
	// NoSuchKey asks for a provider and key that the rule lacks. Plaintext asks for identity.
	NoSuchKey Outcome = "no-such-key"
	// NoSuchProvider was encrypted by a provider or in a version that nobody knows.
	NoSuchProvider Outcome = "no-such-provider"
	// KeyDoesNotFit asks for a key that the rule has by name, which does not open it: the key was another one then, or the value
	// was altered, or (aesgcm) moved to another path.
	KeyDoesNotFit Outcome = "key-does-not-fit"
	// DamagedValue can't be a value of its provider, or says nothing of how it is encrypted: no key opens it.
	DamagedValue Outcome = "damaged"
	// NotAnObject was opened, and what is in it is no object of Kubernetes.
	NotAnObject Outcome = "not-an-object"
	// NotSupported asks for a KMS plugin, which the rule has and which only kube-apiserver may call.
	NotSupported Outcome = "not-supported"
)

// Opening is what came of opening one value. It holds nothing of the value.
type Opening struct {
	Outcome Outcome
	// Key is the key that the outcome is about: that which opened the value or, of those that the value asks for, the last
	// one that did not. It is empty where the rule has none.
	Key encconfig.Key
}

// Opened tells whether there is an object in the value that the configuration opens.
func (o Opening) Opened() bool { return o.Outcome == OpenedCurrent || o.Outcome == OpenedStale }
