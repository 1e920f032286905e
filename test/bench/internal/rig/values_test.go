// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"crypto/aes"
	"crypto/cipher"
	"strings"
	"testing"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

func TestValues_areSecretsAsKubeAPIServerStoresThem(t *testing.T) {
	values, err := NewValues(2000, 1<<10)
	require.NoError(t, err)
	block, err := aes.NewCipher(values.secret[:])
	require.NoError(t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(t, err)
	before := ""
	for i := range values.Count {
		key, value, err := values.stored(gcm, i)
		require.NoError(t, err)
		require.Greater(t, key, before, "in the order of their keys")
		before = key
		sealed, ok := strings.CutPrefix(value, "k8s:enc:aesgcm:v1:1:")
		require.True(t, ok)
		plain, err := gcm.Open(nil, []byte(sealed[:12]), []byte(sealed[12:]), []byte(key))
		require.NoError(t, err)
		assert.InDelta(t, values.Size, len(plain), 8)
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode(plain, nil, nil)
		require.NoError(t, err)
		secret := object.(*corev1.Secret)
		require.Equal(t, key, ValuesPrefix+"/secrets/"+secret.Namespace+"/"+secret.Name)
	}
}

func TestValues_areCurrentByOneConfigurationAndStaleByTheOther(t *testing.T) {
	values, err := NewValues(1, 1<<10)
	require.NoError(t, err)
	for stale, want := range map[bool]string{false: "aesgcm/1", true: "aesgcm/2"} {
		doc, err := encconfig.Parse(values.Config(stale))
		require.NoError(t, err)
		write := doc.TransformersFor("secrets")[0].Key
		assert.Equal(t, want, write.String())
	}
}
