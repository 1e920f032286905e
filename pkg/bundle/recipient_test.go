// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package bundle_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/bundle"
)

func TestParseRecipient_readsWhatWasEncoded(t *testing.T) {
	t.Parallel()
	text := bundle.EncodeRecipient(publicKey(7))
	assert.Regexp(t, `^ker1[A-Za-z0-9_-]+$`, text, "one word, which no shell touches")
	for _, given := range []string{text, text + "\n", "  " + text + "\r\n"} {
		key, err := bundle.ParseRecipient(given)
		require.NoError(t, err)
		assert.Equal(t, publicKey(7), key)
	}
}

func TestParseRecipient_saysWhatIsWrong(t *testing.T) {
	t.Parallel()
	text := bundle.EncodeRecipient(publicKey(7))
	tests := map[string]struct{ text, message string }{
		"nothing":                {"", "the recipient is empty"},
		"white space":            {" \n", "the recipient is empty"},
		"another word":           {"n4", `the recipient does not begin with "ker1"`},
		"another version":        {"ker2" + text[4:], `the recipient does not begin with "ker1"`},
		"the last letter is cut": {text[:len(text)-1], "the recipient has 1630 characters, a whole one has 1631"},
		"one letter more":        {text + "A", "the recipient has 1632 characters"},
		"two of them":            {text + "\n" + text, "the recipient has more than one line"},
		"a broken line":          {text[:80] + "\n" + text[80:], "the recipient has more than one line"},
		"a letter that is none":  {text[:80] + "+" + text[81:], "a character that does not belong there"},
		"another letter":         {text[:80] + "a" + text[81:], "its checksum does not fit"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := bundle.ParseRecipient(tt.text)
			assert.ErrorContains(t, err, tt.message)
		})
	}
}

func TestParseRecipient_refusesEveryFlippedBit(t *testing.T) {
	t.Parallel()
	text := []byte(bundle.EncodeRecipient(publicKey(7)))
	for at := range text {
		for bit := range 7 {
			text[at] ^= 1 << bit
			_, err := bundle.ParseRecipient(string(text))
			require.Error(t, err, "bit %d of byte %d", bit, at)
			text[at] ^= 1 << bit
		}
	}
}

func FuzzParseRecipient(f *testing.F) {
	f.Add(bundle.EncodeRecipient(publicKey(7)))
	f.Add("ker1")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := bundle.ParseRecipient(text)
		if err != nil {
			return
		}
		assert.Contains(t, text, bundle.EncodeRecipient(key))
	})
}
