// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package open opens stored values with the keys of a configuration, to tell whether kube-apiserver could.
//
// Values are opened by kube-apiserver's own transformers (k8s.io/apiserver/pkg/storage/value/encrypt), each by itself: what
// puts them together upstream (value.NewPrefixTransformers, encryptionconfig.LoadEncryptionConfig) logs each failure, calls KMS
// plugins and links a whole server. A Chain puts them together by the same rules
// (k8s.io/apiserver@v0.37.2 pkg/storage/value/transformer.go, prefixTransformers.TransformFromStorage, and
// pkg/server/options/encryptionconfig/config.go):
//
//  1. The transformers of a rule are tried in the order of the file: every one whose prefix, "k8s:enc:PROVIDER:v1:NAME:",
//     the value begins with. Names are compared as prefixes, so a ':' in a name means what it means upstream.
//  2. One that fails does not end it: the next one is tried. The first one that gives plaintext decides, even where that
//     is no object: nor would kube-apiserver look further.
//  3. Identity has no prefix and takes all that does not begin with "k8s:enc:".
//  4. Opened by the first transformer of the rule is current, by any other stale.
//  5. The full path in etcd is authenticated with the value by aesgcm, and by no other local provider.
//  6. A transformer that panics ends it: kube-apiserver would not get further either. That is a value of aescbc whose
//     payload has exactly 16 bytes.
//
// No byte of a value or of a key leaves this package: results are codes and names. Plaintext is overwritten once it has been
// looked at.
package open
