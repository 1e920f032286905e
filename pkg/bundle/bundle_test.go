// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package bundle_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/bundle"
)

func example() bundle.Bundle {
	b := bundle.New("/etc/kubernetes/encryption/config.yaml", "sha256:"+strings.Repeat("ab", 32), "02663245", "join",
		publicKey(1), time.Date(2026, 11, 20, 10, 11, 12, 345, time.UTC))
	b.Sealed = bytes.Repeat([]byte("sealed "), 20)
	return b
}

// publicKey has the right size and is no key.
func publicKey(fill byte) []byte { return bytes.Repeat([]byte{fill}, 1216) }

func encode(t testing.TB, b bundle.Bundle) []byte {
	t.Helper()
	text, err := b.Encode()
	require.NoError(t, err)
	return text
}

func TestEncode_isAsItEverWas(t *testing.T) {
	t.Parallel()
	golden, err := os.ReadFile(filepath.Join("testdata", "bundle.txt"))
	require.NoError(t, err)
	assert.Equal(t, string(golden), string(encode(t, example())))
	b, err := bundle.Parse(golden)
	require.NoError(t, err)
	assert.Equal(t, example(), b)
	assert.Equal(t, "join.0d9d0def669660f86486947cbbeacd199d6056385bba084fb4e91985d96438fc", b.SealedFor(), "what old bundles are sealed for")
}

func TestEncode_refusesWhatNoBundleMaySay(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change  func(*bundle.Bundle)
		message string
	}{
		"a relative path":             {func(b *bundle.Bundle) { b.Path = "config.yaml" }, "is not the plain, absolute path"},
		"a path that leads elsewhere": {func(b *bundle.Bundle) { b.Path = "/etc/kubernetes/../passwd" }, "is not the plain, absolute path"},
		"a path with a header in it":  {func(b *bundle.Bundle) { b.Path = "/etc/x\nDigest: y" }, "is not the plain, absolute path"},
		"the root folder":             {func(b *bundle.Bundle) { b.Path = "/" }, "is not the plain, absolute path"},
		"no digest":                   {func(b *bundle.Bundle) { b.Digest = "" }, "is not a digest"},
		"no run":                      {func(b *bundle.Bundle) { b.Run = "" }, "is not the identifier of a run"},
		"a label with spaces":         {func(b *bundle.Bundle) { b.Label = "node 4" }, "is not the name of a node"},
		"no recipient":                {func(b *bundle.Bundle) { b.Recipient = "n4" }, "is not the fingerprint"},
		"no life":                     {func(b *bundle.Bundle) { b.Expires = b.Made }, "expires before it was made"},
		"no content":                  {func(b *bundle.Bundle) { b.Sealed = nil }, "it holds nothing"},
		"too much content":            {func(b *bundle.Bundle) { b.Sealed = make([]byte, bundle.MaxSize) }, "at most 2097152 are read"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := example()
			tt.change(&b)
			_, err := b.Encode()
			assert.ErrorContains(t, err, tt.message)
		})
	}
}

func TestParse_takesWhatAPasteDoesToIt(t *testing.T) {
	t.Parallel()
	text := string(encode(t, example()))
	for name, pasted := range map[string]string{
		"as it is":                 text,
		"without its last newline": strings.TrimSuffix(text, "\n"),
		"with empty lines around":  "\n\n" + text + " \n\n",
		"with lines as on Windows": strings.ReplaceAll(text, "\n", "\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := bundle.Parse([]byte(pasted))
			require.NoError(t, err)
			assert.Equal(t, example(), b)
		})
	}
}

func TestParse_saysWhatIsWrong(t *testing.T) {
	t.Parallel()
	text := string(encode(t, example()))
	lines := strings.SplitAfter(text, "\n")
	swapped := append([]string{}, lines...)
	swapped[11], swapped[12] = swapped[12], swapped[11]
	tests := map[string]struct{ text, message string }{
		"nothing":                  {"", "this is not a bundle"},
		"something else":           {"kind: EncryptionConfiguration\n", "this is not a bundle"},
		"a recipient":              {bundle.EncodeRecipient(publicKey(1)), "this is not a bundle"},
		"another kind of armor":    {"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", "this is not a bundle"},
		"the first line is cut":    {strings.Join(lines[1:], ""), "this is not a bundle"},
		"the last line is cut":     {strings.Join(lines[:len(lines)-2], ""), "the bundle is cut"},
		"half of it":               {text[:len(text)/2], "the bundle is cut"},
		"the first and last line":  {lines[0] + lines[len(lines)-2], "the bundle is damaged"},
		"a header is missing":      {strings.Replace(text, lines[4], "", 1), "the bundle is damaged"},
		"lines of content swapped": {strings.Join(swapped, ""), "the bundle is damaged"},
		"two bundles":              {text + text, "the bundle is damaged"},
		"far too long":             {text + strings.Repeat("\n", bundle.MaxSize), "this has more than 2097152 bytes"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := bundle.Parse([]byte(tt.text))
			assert.ErrorContains(t, err, tt.message)
		})
	}
}

func TestParse_refusesEveryFlippedBit(t *testing.T) {
	t.Parallel()
	text := bytes.TrimSpace(encode(t, example()))
	for at := range text {
		for bit := range 8 {
			changed := bytes.Clone(text)
			changed[at] ^= 1 << bit
			_, err := bundle.Parse(changed)
			require.Error(t, err, "bit %d of byte %d", bit, at)
		}
	}
}

func TestParse_refusesEveryCut(t *testing.T) {
	t.Parallel()
	text := bytes.TrimSpace(encode(t, example()))
	for at := range text {
		_, err := bundle.Parse(text[:at])
		require.Error(t, err, "cut at %d", at)
	}
}

func TestSealedFor_standsForEveryWord(t *testing.T) {
	t.Parallel()
	seen := map[string]string{example().SealedFor(): "nothing"}
	for name, change := range map[string]func(*bundle.Bundle){
		"path":      func(b *bundle.Bundle) { b.Path = "/etc/kubernetes/encryption/other.yaml" },
		"label":     func(b *bundle.Bundle) { b.Label = "n4" },
		"recipient": func(b *bundle.Bundle) { b.Recipient = bundle.Fingerprint(publicKey(2)) },
		"made":      func(b *bundle.Bundle) { b.Made = b.Made.Add(time.Second) },
		"expires":   func(b *bundle.Bundle) { b.Expires = b.Expires.Add(time.Second) },
	} {
		b := example()
		change(&b)
		assert.NotContains(t, seen, b.SealedFor(), "%s changed", name)
		assert.Regexp(t, `^[a-z0-9.-]{1,253}$`, b.SealedFor(), "agents take names of nodes alone")
		seen[b.SealedFor()] = name
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := bundle.New(
			rapid.StringMatching(`(/[A-Za-z0-9_-]{1,8}){1,6}`).Draw(t, "path"),
			rapid.StringMatching(`sha256:[0-9a-f]{64}`).Draw(t, "digest"),
			rapid.StringMatching(`[a-z0-9]{1,20}`).Draw(t, "run"),
			rapid.StringMatching(`[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?`).Draw(t, "label"),
			rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "key"),
			time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "now"), 0),
		)
		b.Sealed = rapid.SliceOfN(rapid.Byte(), 1, 500).Draw(t, "sealed")
		text, err := b.Encode()
		require.NoError(t, err)
		again, err := bundle.Parse(text)
		require.NoError(t, err)
		assert.Equal(t, b, again)
	})
}

func FuzzParse(f *testing.F) {
	text := encode(f, example())
	f.Add(text)
	f.Add(text[:100])
	f.Add([]byte("-----BEGIN KUBECTL ENCRYPTION BUNDLE-----\n\n=\n-----END KUBECTL ENCRYPTION BUNDLE-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := bundle.Parse(text)
		if err != nil {
			return
		}
		again := encode(t, b)
		assert.Equal(t, strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")), strings.TrimSpace(string(again)))
	})
}
