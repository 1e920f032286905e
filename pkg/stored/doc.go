// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package stored tells what a value in etcd says of itself: whether it is encrypted, by which provider and with which key.
//
// It is pure and needs no key. Reader.Read looks at one value and keeps nothing of it but names of bounded length. What
// opens a value with keys is package open; what may come of that (Outcome) is told here.
//
// The rules, by what a value begins with:
//
//  1. "k8s:enc:PROVIDER:VERSION:NAME:" is an encrypted value of the key NAME, for KMS of the plugin NAME
//     (k8s.io/apiserver@v0.37.2 pkg/server/options/encryptionconfig/config.go, the constants *TransformerPrefixV1 and V2).
//     The providers aesgcm, aescbc, secretbox and kms have the version v1, kms has v2 too. Any other provider or version
//     is Unknown. The prefix is reserved: identity refuses what begins with "k8s:enc:"
//     (pkg/storage/value/encrypt/identity/identity.go).
//  2. "k8s\x00" is an object in protobuf: a runtime.Unknown follows
//     (k8s.io/apimachinery@v0.37.2 pkg/runtime/serializer/protobuf/protobuf.go).
//  3. "{" after any space is an object in JSON: custom resources mostly (k8s.io/apimachinery@v0.37.2 pkg/util/yaml, IsJSONBuffer).
//  4. 0xd9d9f7 is an object in CBOR, which a kube-apiserver with the feature gate CBORServingAndStorage writes for custom
//     resources (k8s.io/apimachinery@v0.37.2 pkg/runtime/serializer/cbor/cbor.go).
//  5. Everything else is Undecodable, the empty value and a prefix that is cut off included. kube-apiserver would read YAML as
//     well, and never writes it.
//
// A value whose prefix is whole may still be one that no key opens, by the length of what follows alone. It keeps its
// provider and key, and is Damaged:
//
//   - no key name, or none that ends within MaxName bytes;
//   - aesgcm: nonce (12 bytes), ciphertext, tag (16), so no less than 29 bytes: no object is empty
//     (pkg/storage/value/encrypt/aes/aes.go);
//   - aescbc: initialization vector (16) and at least one block of 16, whole blocks only. One of exactly 16 bytes makes
//     kube-apiserver panic (the same file, cbc.TransformFromStorage);
//   - secretbox: nonce (24), tag (16), ciphertext (pkg/storage/value/encrypt/secretbox/secretbox.go);
//   - kms v1: the length of the encrypted data key as 16 bits, big-endian, the key itself, then a value of aesgcm, or of
//     aescbc if a kube-apiserver before 1.25 wrote it (pkg/storage/value/encrypt/envelope/envelope.go);
//   - kms v2: an EncryptedObject in protobuf (pkg/storage/value/encrypt/envelope/kmsv2/v2/api.proto) that
//     ValidateEncryptedObject takes (pkg/storage/value/encrypt/envelope/kmsv2/envelope.go), but for the annotations: their
//     names and size are not looked at. With a seed for the data key, 32 bytes of info stand before the nonce
//     (pkg/storage/value/encrypt/aes/aes_extended_nonce.go);
//   - plaintext: protobuf that has no type, no object, or fields that do not end where the value does; JSON without a "}" at
//     the end; CBOR that holds no map.
//
// kube-apiserver allows a ':' in the name of a key. Nothing in the value tells then where the name ends: Read takes it
// to end at the first ':', and may call a sound value of aescbc Damaged. Package open, which knows the names, is exact.
package stored
