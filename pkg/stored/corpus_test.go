// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package stored_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

// sample is a line of the corpus: a value as a kube-apiserver 1.37.1 stored it (testdata/corpus.sh).
type sample struct {
	Path  string `json:"path"`
	Value []byte `json:"value"`
}

// corpus are all samples by their path. The last element of each path says how the value was made.
func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "corpus.jsonl"))
	require.NoError(t, err)
	samples := map[string][]byte{}
	for line := range bytes.Lines(data) {
		var s sample
		require.NoError(t, json.Unmarshal(line, &s))
		samples[s.Path] = s.Value
	}
	require.Len(t, samples, 14, "7 Secrets and 7 custom resources")
	return samples
}

func TestReadOfWhatARealKubeAPIServerStored(t *testing.T) {
	want := map[string]stored.Mark{
		"identity":  {Form: stored.Plaintext, Provider: encconfig.Identity},
		"aesgcm":    encrypted(encconfig.AESGCM, "1"),
		"colon":     encrypted(encconfig.AESGCM, "with"), // the key is called "with:colon"
		"aescbc":    encrypted(encconfig.AESCBC, "2026-11-21"),
		"secretbox": encrypted(encconfig.Secretbox, "box.1"),
		"kmsv1":     encrypted(encconfig.KMS, "oldvault"),
		"kmsv2":     {Form: stored.Encrypted, Provider: encconfig.KMS, Version: "v2", Key: "vault", KeyID: "arn:key/4711"},
	}
	for at, value := range corpus(t) {
		assert.Equal(t, want[path.Base(at)], stored.Read(value), at)
	}
}

func TestAPlaintextObjectOfARealKubeAPIServerIsAnObject(t *testing.T) {
	for at, value := range corpus(t) {
		assert.Equal(t, strings.HasSuffix(at, "/identity"), stored.IsObject(value), at)
	}
}

func TestAPlaintextObjectThatIsCutOffAnywhereIsNone(t *testing.T) {
	for at, value := range corpus(t) {
		if !strings.HasSuffix(at, "/identity") {
			continue
		}
		// JSON ends with a newline, protobuf with two empty fields: the object is whole without them.
		value = bytes.TrimSuffix(bytes.TrimSpace(value), []byte("\x1a\x00\x22\x00"))
		for size := range len(value) {
			assert.False(t, stored.IsObject(value[:size]), "%s, %d bytes", at, size)
		}
	}
}

func TestAnEncryptedValueThatIsCutOffNeverLooksSoundForAnotherKey(t *testing.T) {
	for at, value := range corpus(t) {
		whole := stored.Read(value)
		for size := range len(value) {
			mark := stored.Read(value[:size])
			if mark.Form == whole.Form && !mark.Damaged {
				mark.KeyID = whole.KeyID
				assert.Equal(t, whole, mark, "%s, %d bytes", at, size)
			}
		}
	}
}

func encrypted(p encconfig.Provider, key string) stored.Mark {
	return stored.Mark{Form: stored.Encrypted, Provider: p, Version: "v1", Key: key}
}
