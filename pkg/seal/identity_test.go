// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func marshal(t testing.TB, i *Identity) []byte {
	t.Helper()
	line, err := i.Marshal()
	require.NoError(t, err)
	return line
}

func TestParseIdentity_opensWhatWasSealedBefore(t *testing.T) {
	t.Parallel()
	identity := newIdentity(t)
	sealed, err := Seal(identity.PublicKey(), exampleContext(), []byte("message"))
	require.NoError(t, err)
	line := marshal(t, identity)
	assert.Regexp(t, `^kei1[A-Za-z0-9_-]+\n$`, string(line))

	again, err := ParseIdentity(line)

	require.NoError(t, err)
	assert.Equal(t, identity.PublicKey(), again.PublicKey())
	assert.Equal(t, line, marshal(t, again), "it is written the same again")
	opened, err := again.Open(exampleContext(), sealed)
	require.NoError(t, err)
	assert.Equal(t, "message", string(opened))
}

func TestParseIdentity_refusesWhatIsNotWhole(t *testing.T) {
	t.Parallel()
	line := marshal(t, newIdentity(t))
	damaged := map[string][]byte{
		"empty":            nil,
		"the prefix alone": []byte(identityPrefix),
		"another version":  append([]byte("kei2"), line[4:]...),
		"one line more":    append(bytes.Clone(line), '\n'),
		"broken in two":    slices.Insert(bytes.Clone(line), 20, '\n'),
	}
	for at := range line[:len(line)-1] {
		changed := bytes.Clone(line)
		changed[at] ^= 1
		_, err := ParseIdentity(changed)
		require.ErrorIs(t, err, errIdentity, "changed at %d", at)
		_, err = ParseIdentity(line[:at])
		require.ErrorIs(t, err, errIdentity, "cut at %d", at)
	}
	for name, text := range damaged {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			identity, err := ParseIdentity(text)
			assert.Equal(t, errIdentity, err, "nothing more may be said")
			assert.Nil(t, identity)
		})
	}
}

func FuzzParseIdentity(f *testing.F) {
	f.Add(marshal(f, newIdentity(f)))
	f.Add([]byte("kei1"))
	f.Add([]byte("kei1AAAA\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		identity, err := ParseIdentity(text)
		if err != nil {
			assert.Equal(t, errIdentity, err)
			return
		}
		assert.Equal(t, bytes.TrimSuffix(text, []byte("\n")), bytes.TrimSuffix(marshal(t, identity), []byte("\n")))
	})
}
