// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package open

import (
	"crypto/aes"
	"encoding/base64"
	"errors"
	"fmt"

	"k8s.io/apiserver/pkg/storage/value"
	aestransformer "k8s.io/apiserver/pkg/storage/value/encrypt/aes"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"
	"k8s.io/apiserver/pkg/storage/value/encrypt/secretbox"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
)

func newLink(t encconfig.Transformer) (link, error) {
	l := link{key: t.Key, prefixes: prefixes(t.Key)}
	switch t.Key.Provider {
	case encconfig.Identity:
		l.transformer = identity.NewEncryptCheckTransformer()
		return l, nil
	case encconfig.KMS:
		return l, nil
	}
	if t.Key.Name == "" {
		return link{}, errors.New("a key needs a name")
	}
	var err error
	l.transformer, err = localTransformer(t.Key.Provider, t.Secret)
	return l, err
}

// prefixes are what values of a key begin with. A plugin of KMS is asked for values of its own version alone.
func prefixes(k encconfig.Key) [][]byte {
	of := func(version string) []byte {
		return []byte("k8s:enc:" + string(k.Provider) + ":" + version + ":" + k.Name + ":")
	}
	switch k.Provider {
	case encconfig.Identity:
		return [][]byte{nil}
	case encconfig.KMS:
		return [][]byte{of(k.Version)}
	default:
		return [][]byte{of("v1")}
	}
}

func localTransformer(p encconfig.Provider, secret keys.Secret) (value.Read, error) {
	raw, err := base64.StdEncoding.DecodeString(secret.Base64())
	if err != nil {
		return nil, errors.New("the secret is not base64")
	}
	switch p {
	case encconfig.Secretbox:
		if len(raw) != 32 {
			return nil, fmt.Errorf("the secret has %d bytes, secretbox takes 32", len(raw))
		}
		return secretbox.NewSecretboxTransformer([32]byte(raw)), nil
	case encconfig.AESGCM, encconfig.AESCBC:
		block, err := aes.NewCipher(raw)
		if err != nil {
			return nil, fmt.Errorf("the secret has %d bytes, AES takes 16, 24 or 32", len(raw))
		}
		if p == encconfig.AESCBC {
			return aestransformer.NewCBCTransformer(block), nil
		}
		return aestransformer.NewGCMTransformer(block)
	default:
		return nil, errors.New("nobody knows this provider")
	}
}
