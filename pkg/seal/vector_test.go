// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"crypto/hpke"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// vector is a message that was sealed once and must open for ever: sealing is random, opening is not.
type vector struct {
	PrivateKey []byte  `json:"privateKey"`
	PublicKey  []byte  `json:"publicKey"`
	Context    Context `json:"context"`
	Message    string  `json:"message"`
	Sealed     []byte  `json:"sealed"`
}

func readVector(t testing.TB) (vector, *Identity) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "v1.json"))
	require.NoError(t, err)
	var v vector
	require.NoError(t, json.Unmarshal(data, &v))
	key, err := hpke.MLKEM768X25519().NewPrivateKey(v.PrivateKey)
	require.NoError(t, err)
	return v, &Identity{key: key}
}

func TestOpen_frozenVector(t *testing.T) {
	t.Parallel()
	v, identity := readVector(t)
	assert.Equal(t, v.PublicKey, identity.PublicKey())
	opened, err := identity.Open(v.Context, v.Sealed)
	require.NoError(t, err)
	assert.Equal(t, v.Message, string(opened))
}

func FuzzOpen(f *testing.F) {
	v, identity := readVector(f)
	f.Add(v.Context.Run, v.Context.To, v.Sealed)
	f.Add("", "", []byte{})
	f.Add("", "", []byte{Version})
	f.Add(v.Context.Run, v.Context.To, v.Sealed[:1121])
	f.Fuzz(func(t *testing.T, run, to string, sealed []byte) {
		c := v.Context
		c.Run, c.To = run, to
		opened, err := identity.Open(c, sealed)
		if err != nil {
			assert.Equal(t, ErrNotSealed, err)
			assert.Nil(t, opened)
			return
		}
		// Nobody makes a second message that opens without sealing it: the seed is the only one.
		assert.Equal(t, v.Sealed, sealed)
		assert.Equal(t, v.Message, string(opened))
	})
}
