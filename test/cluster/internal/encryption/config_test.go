// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encryption

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRender(t *testing.T) {
	t.Parallel()
	random := bytes.NewReader(bytes.Repeat([]byte{0xff}, 32))
	got, err := render("aesgcm", random)
	require.NoError(t, err)
	assert.Equal(t, `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources:
      - secrets
      - configmaps
    providers:
      - aesgcm:
          keys:
            - name: "1"
              secret: //////////////////////////////////////////8=
      - identity: {}
`, string(got))
}

func TestRender_refuses(t *testing.T) {
	t.Parallel()
	for name, provider := range map[string]string{
		"no encryption => there is no file for it": None,
		"an unknown provider => an error":          "rot13",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := render(provider, bytes.NewReader(make([]byte, 32)))
			assert.ErrorContains(t, err, provider)
		})
	}
	_, err := render("aescbc", bytes.NewReader(nil))
	assert.ErrorContains(t, err, "make key", "no randomness is no reason for a weak key")
}

func TestNewConfig_givesEachItsOwnKey(t *testing.T) {
	t.Parallel()
	first, err := NewConfig("secretbox")
	require.NoError(t, err)
	second, err := NewConfig("secretbox")
	require.NoError(t, err)
	assert.NotEqual(t, first, second)
}
