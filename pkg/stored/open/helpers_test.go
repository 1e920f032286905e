// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package open_test

import (
	"context"
	"crypto/aes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
	"k8s.io/apiserver/pkg/storage/value"
	aestransformer "k8s.io/apiserver/pkg/storage/value/encrypt/aes"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"
	"k8s.io/apiserver/pkg/storage/value/encrypt/secretbox"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored/open"
)

// testingT is what testing.T and rapid.T have in common.
type testingT interface {
	require.TestingT
	Helper()
}

// testKey is a key of the tests: a provider, a name, and what its 32 bytes are made of; for KMS the version.
type testKey struct {
	provider encconfig.Provider
	name     string
	seed     string
}

func (k testKey) bytes() []byte { return []byte((k.seed + strings.Repeat(".", 32))[:32]) }

func (k testKey) key() encconfig.Key {
	if k.provider == encconfig.Identity {
		return encconfig.Key{Provider: k.provider}
	}
	if k.provider == encconfig.KMS {
		return encconfig.Key{Provider: k.provider, Name: k.name, Version: k.seed}
	}
	fingerprint := keys.New(k.bytes()).Fingerprint(string(k.provider), k.name)
	return encconfig.Key{Provider: k.provider, Name: k.name, Fingerprint: fingerprint}
}

func (k testKey) transformer() encconfig.Transformer {
	return encconfig.Transformer{Key: k.key(), Secret: keys.New(k.bytes())}
}

func (k testKey) prefix() string {
	if k.provider == encconfig.Identity {
		return ""
	}
	return fmt.Sprintf("k8s:enc:%s:v1:", k.provider)
}

// chain is the chain under test of the keys.
func chain(t testingT, list ...testKey) *open.Chain {
	t.Helper()
	var rule []encconfig.Transformer
	for _, k := range list {
		rule = append(rule, k.transformer())
	}
	c, err := open.NewChain(rule)
	require.NoError(t, err)
	return c
}

// upstream is what kube-apiserver puts together of the same keys, each in a provider of its own
// (k8s.io/apiserver@v0.37.2 pkg/server/options/encryptionconfig/config.go, prefixTransformersAndProbes and aesPrefixTransformer).
func upstream(t testingT, list ...testKey) value.Transformer {
	t.Helper()
	var providers []value.PrefixTransformer
	for _, k := range list {
		one := local(t, k)
		if k.provider != encconfig.Identity {
			named := value.PrefixTransformer{Prefix: []byte(k.name + ":"), Transformer: one}
			one = value.NewPrefixTransformers(errors.New("no matching key"), named)
		}
		providers = append(providers, value.PrefixTransformer{Prefix: []byte(k.prefix()), Transformer: one})
	}
	return value.NewPrefixTransformers(errors.New("no matching prefix"), providers...)
}

func local(t testingT, k testKey) value.Transformer {
	t.Helper()
	block, err := aes.NewCipher(k.bytes())
	require.NoError(t, err)
	switch k.provider {
	case encconfig.AESGCM:
		gcm, err := aestransformer.NewGCMTransformer(block)
		require.NoError(t, err)
		return gcm
	case encconfig.AESCBC:
		return aestransformer.NewCBCTransformer(block)
	case encconfig.Secretbox:
		return secretbox.NewSecretboxTransformer([32]byte(k.bytes()))
	default:
		return identity.NewEncryptCheckTransformer()
	}
}

// written is an object as kube-apiserver would store it with the key.
func written(t testingT, k testKey, path string, object []byte) []byte {
	t.Helper()
	data, err := upstream(t, k).TransformToStorage(context.Background(), object, value.DefaultContext(path))
	require.NoError(t, err)
	return slices.Clone(data)
}
