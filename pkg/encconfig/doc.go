// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package encconfig reads, describes and changes the EncryptionConfiguration of kube-apiserver
// (apiserver.config.k8s.io/v1).
//
// It is pure: bytes and values in, bytes and values out; no file, no clock, no client. A Document holds key
// material and stays on a control-plane node. A Description says the same without the keys and may go anywhere.
// Change.Apply works on descriptions, Document.Apply on bytes; both agree on every configuration that Parse takes:
// Describe(doc.Apply(c)) equals c.Apply(Describe(doc)).
//
// Parse takes less than kube-apiserver does: what is not fully understood is refused with the line it stands on
// and never with its value, since a value may be a key.
package encconfig
