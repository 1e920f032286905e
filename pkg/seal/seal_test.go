// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func newIdentity(t testing.TB) *Identity {
	t.Helper()
	identity, err := NewIdentity()
	require.NoError(t, err)
	return identity
}

func exampleContext() Context {
	return Context{Run: "run-1", Recipient: "n1", From: "sha256:aa", To: "sha256:bb"}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	identity := newIdentity(t)
	message := []byte("kind: EncryptionConfiguration\n")
	sealed, err := Seal(identity.PublicKey(), exampleContext(), message)
	require.NoError(t, err)
	again, err := Seal(identity.PublicKey(), exampleContext(), message)
	require.NoError(t, err)
	assert.NotEqual(t, sealed, again, "the same message sealed twice must not look the same")

	changed := func(at int) []byte {
		c := slices.Clone(sealed)
		c[at] ^= 1
		return c
	}
	other := func(change func(*Context)) Context {
		c := exampleContext()
		change(&c)
		return c
	}
	tests := []struct {
		name     string
		identity *Identity
		context  Context
		sealed   []byte
		opens    bool
	}{
		{"the right agent in the right context => opens", identity, exampleContext(), sealed, true},
		{"another agent => refused", newIdentity(t), exampleContext(), sealed, false},
		{"another run => refused", identity, other(func(c *Context) { c.Run = "run-2" }), sealed, false},
		{"another node => refused", identity, other(func(c *Context) { c.Recipient = "n2" }), sealed, false},
		{"made from another file => refused", identity, other(func(c *Context) { c.From = "sha256:cc" }), sealed, false},
		{"another result => refused", identity, other(func(c *Context) { c.To = "sha256:cc" }), sealed, false},
		{"parts of the context moved between fields => refused", identity, other(func(c *Context) { c.Run, c.Recipient = "run-1n", "1" }), sealed, false},
		{"another version => refused", identity, exampleContext(), changed(0), false},
		{"changed in the encapsulated key => refused", identity, exampleContext(), changed(1), false},
		{"changed in the ciphertext => refused", identity, exampleContext(), changed(len(sealed) - 20), false},
		{"changed in the tag => refused", identity, exampleContext(), changed(len(sealed) - 1), false},
		{"cut by one byte => refused", identity, exampleContext(), sealed[:len(sealed)-1], false},
		{"one byte more => refused", identity, exampleContext(), append(slices.Clone(sealed), 0), false},
		{"the version byte alone => refused", identity, exampleContext(), sealed[:1], false},
		{"empty => refused", identity, exampleContext(), nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			opened, err := tt.identity.Open(tt.context, tt.sealed)
			if tt.opens {
				require.NoError(t, err)
				assert.Equal(t, message, opened)
				return
			}
			assert.Equal(t, ErrNotSealed, err, "nothing more may be said")
			assert.Nil(t, opened)
		})
	}
}

func TestSeal_refusesWhatIsNoPublicKey(t *testing.T) {
	t.Parallel()
	valid := newIdentity(t).PublicKey()
	for name, key := range map[string][]byte{
		"empty":              nil,
		"one byte short":     valid[1:],
		"one byte more":      append(slices.Clone(valid), 0),
		"not reduced mod q":  bytes.Repeat([]byte{0xff}, len(valid)),
		"an X25519 key only": valid[:32],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sealed, err := Seal(key, exampleContext(), []byte("message"))
			require.ErrorContains(t, err, `public key of "n1"`)
			assert.Nil(t, sealed)
		})
	}
}

func TestIdentity_isNeverPrinted(t *testing.T) {
	t.Parallel()
	identity := newIdentity(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		assert.Equal(t, "REDACTED", fmt.Sprintf(verb, identity))
	}
}

func drawContext(t *rapid.T, name string) Context {
	part := rapid.SampledFrom([]string{"", "a", "aa", "\x00\x00\x00\x01a", "sha256:aa"})
	return Context{
		Run:       part.Draw(t, name+" run"),
		Recipient: part.Draw(t, name+" recipient"),
		From:      part.Draw(t, name+" from"),
		To:        part.Draw(t, name+" to"),
	}
}

func TestContext_isUnambiguous(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawContext(t, "a"), drawContext(t, "b")
		assert.Equal(t, a == b, bytes.Equal(a.info(), b.info()))
	})
}

func TestOpen_opensExactlyWhatWasSealed(t *testing.T) {
	t.Parallel()
	identity := newIdentity(t)
	rapid.Check(t, func(t *rapid.T) {
		sealedFor, openedFor := drawContext(t, "sealed"), drawContext(t, "opened")
		message := rapid.SliceOf(rapid.Byte()).Draw(t, "message")
		sealed, err := Seal(identity.PublicKey(), sealedFor, message)
		require.NoError(t, err)
		if at := rapid.IntRange(-1, len(sealed)-1).Draw(t, "changed byte"); at >= 0 {
			sealed[at] ^= byte(1 << rapid.IntRange(0, 7).Draw(t, "changed bit"))
			_, err = identity.Open(sealedFor, sealed)
			assert.Equal(t, ErrNotSealed, err)
			return
		}
		opened, err := identity.Open(openedFor, sealed)
		if sealedFor != openedFor {
			assert.Equal(t, ErrNotSealed, err)
			return
		}
		require.NoError(t, err)
		assert.True(t, bytes.Equal(message, opened))
	})
}
