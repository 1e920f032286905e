// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package stored_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	kmstypes "k8s.io/apiserver/pkg/storage/value/encrypt/envelope/kmsv2/v2"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

// prefix is the prefix of an encrypted value, said in another way than by the code.
var prefix = regexp.MustCompile(`(?s)^k8s:enc:([a-z0-9._-]{1,63}):(?:(v[0-9][a-z0-9._-]{0,61}):(.*))?`)

// Whatever the bytes: no panic, strings of bounded length, the same answer from a Reader that has met others before, and
// what a regular expression and upstream's own protobuf make of the value.
func FuzzRead(f *testing.F) {
	for _, value := range corpus(f) {
		f.Add(value)
	}
	for _, value := range []string{"", "k8s\x00", "k8s:enc:", "k8s:enc:aesgcm:v1::", "k8s:enc:rot13:", of("k8s:enc:aescbc:v1:a:b:", 32)} {
		f.Add([]byte(value))
	}
	var used stored.Reader
	f.Fuzz(func(t *testing.T, value []byte) {
		mark := stored.Read(value)
		assert.Equal(t, mark, used.Read(value))
		assert.LessOrEqual(t, len(mark.Provider), 63)
		assert.LessOrEqual(t, len(mark.Version), 63)
		assert.LessOrEqual(t, len(mark.Key), stored.MaxName)
		assert.LessOrEqual(t, len(mark.KeyID), stored.MaxKeyID)
		if strings.HasPrefix(string(value), "k8s:enc:") {
			requireNaive(t, value, mark)
			return
		}
		require.Contains(t, []stored.Form{stored.Plaintext, stored.Undecodable}, mark.Form)
		if stored.IsObject(value) {
			require.Equal(t, stored.Mark{Form: stored.Plaintext, Provider: encconfig.Identity}, mark)
		}
	})
}

// requireNaive holds the mark of an encrypted value against what a regular expression finds.
func requireNaive(t *testing.T, value []byte, mark stored.Mark) {
	t.Helper()
	found := prefix.FindSubmatch(value)
	known := map[string]bool{"aesgcm": true, "aescbc": true, "secretbox": true, "kms": true}
	if found == nil || known[string(found[1])] && found[2] == nil {
		require.Equal(t, stored.Mark{Form: stored.Undecodable}, mark)
		return
	}
	provider, version := string(found[1]), string(found[2])
	require.Equal(t, provider, string(mark.Provider))
	require.Equal(t, version, mark.Version)
	if !known[provider] || version != "v1" && (provider != "kms" || version != "v2") {
		require.Equal(t, stored.Unknown, mark.Form)
		return
	}
	require.Equal(t, stored.Encrypted, mark.Form)
	name, payload, ok := strings.Cut(string(found[3]), ":")
	if !ok || name == "" || len(name) > stored.MaxName {
		require.True(t, mark.Damaged)
		require.Empty(t, mark.Key)
		return
	}
	require.Equal(t, name, mark.Key)
	if version == "v2" {
		requireUpstream(t, []byte(payload), mark)
	}
}

// requireUpstream holds the mark of a value of KMS v2 against what upstream decodes
// (k8s.io/apiserver@v0.37.2 pkg/storage/value/encrypt/envelope/kmsv2/envelope.go, doDecode and ValidateEncryptedObject).
func requireUpstream(t *testing.T, payload []byte, mark stored.Mark) {
	t.Helper()
	var o kmstypes.EncryptedObject
	if err := proto.Unmarshal(payload, &o); err != nil {
		require.True(t, mark.Damaged, "upstream can't decode it")
		return
	}
	overhead := map[kmstypes.EncryptedDEKSourceType]int{0: 12 + 16, 1: 32 + 12 + 16}
	least, known := overhead[o.GetEncryptedDEKSourceType()]
	source, id := len(o.GetEncryptedDEKSource()), o.GetKeyID()
	sound := known && len(o.GetEncryptedData()) > least && source > 0 && source <= 1024 && id != "" && len(id) <= 1024
	require.Equal(t, sound, !mark.Damaged)
	if sound {
		require.Equal(t, id, mark.KeyID)
		require.True(t, utf8.ValidString(mark.KeyID))
	}
}
