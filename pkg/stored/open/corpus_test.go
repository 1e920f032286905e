// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package open_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

// sample is a line of the corpus: a value as a kube-apiserver 1.37.1 stored it (testdata/corpus.sh of package stored).
type sample struct {
	Path  string `json:"path"`
	Value []byte `json:"value"`
}

func corpus(t *testing.T) []sample {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "testdata", "corpus.jsonl"))
	require.NoError(t, err)
	var samples []sample
	for line := range bytes.Lines(data) {
		var s sample
		require.NoError(t, json.Unmarshal(line, &s))
		samples = append(samples, s)
	}
	require.Len(t, samples, 14, "7 Secrets and 7 custom resources")
	return samples
}

// corpusKeys are the keys of the corpus by the last element of the paths.
func corpusKeys() map[string]testKey {
	return map[string]testKey{
		"aesgcm":    {encconfig.AESGCM, "1", "aesgcm"},
		"colon":     {encconfig.AESGCM, "with:colon", "aesgcm"},
		"aescbc":    {encconfig.AESCBC, "2026-11-21", "aescbc"},
		"secretbox": {encconfig.Secretbox, "box.1", "secretbox"},
		"kmsv1":     {encconfig.KMS, "oldvault", "v1"},
		"kmsv2":     {encconfig.KMS, "vault", "v2"},
		"identity":  plain,
	}
}

func TestOpeningWhatARealKubeAPIServerStored(t *testing.T) {
	for _, s := range corpus(t) {
		how := s.Path[strings.LastIndex(s.Path, "/")+1:]
		for name, k := range corpusKeys() {
			got := chain(t, k).Open([]byte(s.Path), s.Value)
			want := stored.Opening{Outcome: stored.NoSuchKey}
			switch {
			case name == how && k.provider == encconfig.KMS:
				want = stored.Opening{Outcome: stored.NotSupported, Key: k.key()}
			case name == how:
				want = stored.Opening{Outcome: stored.OpenedCurrent, Key: k.key()}
			}
			assert.Equal(t, want, got, "%s with the key of %s", s.Path, name)
		}
	}
}

func TestWhatARealKubeAPIServerStoredDoesNotOpenWithAnotherKeyOfTheSameName(t *testing.T) {
	for _, s := range corpus(t) {
		how := s.Path[strings.LastIndex(s.Path, "/")+1:]
		right := corpusKeys()[how]
		if right.provider == encconfig.Identity || right.provider == encconfig.KMS {
			continue // there is no key to try
		}
		wrong := right
		wrong.seed = "another"
		assert.Equal(t, stored.KeyDoesNotFit, chain(t, wrong).Open([]byte(s.Path), s.Value).Outcome, s.Path)
		assert.Equal(t, stored.KeyDoesNotFit, chain(t, wrong, plain).Open([]byte(s.Path), s.Value).Outcome, "%s, with identity behind it", s.Path)
	}
}

// Of what aescbc wrote 16 bytes are left, which is the vector alone: upstream panics on that.
func TestWhatARealKubeAPIServerStoredAndOfWhichTheVectorIsLeft(t *testing.T) {
	tried := 0
	for _, s := range corpus(t) {
		how := s.Path[strings.LastIndex(s.Path, "/")+1:]
		if how != "aescbc" {
			continue
		}
		k := corpusKeys()[how]
		left := s.Value[:len(k.prefix())+len(k.name)+len(":")+16]
		_, _, failed := asUpstream(upstream(t, k), s.Path, left)
		assert.True(t, failed, "upstream can't read it")
		assert.Equal(t, stored.Opening{Outcome: stored.DamagedValue, Key: k.key()}, chain(t, k).Open([]byte(s.Path), left), s.Path)
		tried++
	}
	assert.Equal(t, 2, tried, "a Secret and a custom resource")
}

func TestWhatARealKubeAPIServerStoredElsewhere(t *testing.T) {
	want := map[string]stored.Outcome{
		"aesgcm": stored.KeyDoesNotFit, "colon": stored.KeyDoesNotFit,
		"aescbc": stored.OpenedCurrent, "secretbox": stored.OpenedCurrent, "identity": stored.OpenedCurrent,
		"kmsv1": stored.NotSupported, "kmsv2": stored.NotSupported,
	}
	for _, s := range corpus(t) {
		how := s.Path[strings.LastIndex(s.Path, "/")+1:]
		got := chain(t, corpusKeys()[how]).Open([]byte(s.Path+"-moved"), s.Value)
		assert.Equal(t, want[how], got.Outcome, s.Path)
	}
}

func TestWhatARealKubeAPIServerStoredAndSomebodyCutOffOpensNowhere(t *testing.T) {
	for _, s := range corpus(t) {
		how := s.Path[strings.LastIndex(s.Path, "/")+1:]
		if how == "identity" {
			continue // package stored has a test of those
		}
		c := chain(t, corpusKeys()[how])
		for size := range len(s.Value) {
			assert.False(t, c.Open([]byte(s.Path), s.Value[:size]).Opened(), "%s, %d bytes", s.Path, size)
		}
	}
}
