// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package census

import (
	"encoding/json"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

func surveyed(resource string, values ...many) Tally {
	c := NewSurveyor(resource, 3)
	for _, v := range values {
		for range v.n {
			c.Add([]byte("ns/a"), v.mark)
		}
	}
	return c.Tally()
}

func TestASurveySaysWhichKeysAreNeeded(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		tallies []Tally
		want    Outcome
		text    string
	}{
		"two keys": {
			[]Tally{surveyed("secrets", many{1200, under(key2)}, many{34, under(key1)}), surveyed("pods", many{1000, plaintext})},
			Surveyed, "2 keys are needed: aesgcm/1 (34), aesgcm/2 (1,200); 1,000 objects are stored in plaintext",
		},
		"one key of two resources": {
			[]Tally{surveyed("secrets", many{1, under(key2)}), surveyed("pods", many{1, under(key2)})},
			Surveyed, "1 key is needed: aesgcm/2 (2); 0 objects are stored in plaintext",
		},
		"no key":  {[]Tally{surveyed("pods", many{7, plaintext})}, Surveyed, "no key is needed: 7 objects are stored in plaintext"},
		"nothing": {[]Tally{surveyed("secrets")}, Surveyed, "no object is stored"},
		"what no configuration can read": {
			[]Tally{surveyed("secrets", many{1, under(key2)}, many{2, damaged(key1)}, many{3, foreign})},
			Found, "1 key is needed: aesgcm/2 (1); 0 objects are stored in plaintext; 5 can't be read with any key: " +
				"2 that can't be decoded, 3 of a provider that is not known",
		},
		"nothing that a configuration could read": {
			[]Tally{surveyed("secrets", many{2, garbage})},
			Found, "none of the 2 stored objects can be read; 2 can't be read with any key: 2 that can't be decoded",
		},
		"nothing at all": {nil, Unproven, "nothing was counted"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := Survey(Of(encconfig.Description{}, nil, tt.tallies...))
			assert.Equal(t, tt.text, v.Sentence)
			assert.Equal(t, tt.want, v.Outcome)
			assert.Zero(t, v.Current)
			assert.Empty(t, v.Unused)
			assert.Empty(t, v.NotWhole, "nobody asked for the whole of anything")
		})
	}
	assert.Zero(t, Surveyed.ExitCode())
}

func TestNeedsAreKeysAndWhoNeedsThem(t *testing.T) {
	t.Parallel()
	v2 := stored.Mark{Form: stored.Encrypted, Provider: encconfig.KMS, Version: "v2", Key: "vault", KeyID: "k1"}
	other := v2
	other.KeyID = "k2"
	c := Of(config, nil,
		counted(config, "secrets", many{2, under(key2)}, many{1, forgotten}, many{5, plaintext}, many{1, damaged(key1)}, many{1, foreign}),
		counted(config, "configmaps", many{1, v2}, many{2, other}, many{1, under(key2)}),
	)
	assert.Equal(t, []Need{
		{Key: named(key2), Objects: 3, Resources: []string{"configmaps", "secrets"}},
		{Key: encconfig.Key{Provider: encconfig.AESGCM, Name: "old"}, Objects: 1, Resources: []string{"secrets"}},
		{Key: encconfig.Key{Provider: encconfig.KMS, Name: "vault"}, KeyID: "k1", Objects: 1, Resources: []string{"configmaps"}},
		{Key: encconfig.Key{Provider: encconfig.KMS, Name: "vault"}, KeyID: "k2", Objects: 2, Resources: []string{"configmaps"}},
	}, Needs(c))
}

func TestWhatCanNotBeJudgedLeavesAVerdictUnproven(t *testing.T) {
	t.Parallel()
	whole := []string{"secrets"}
	strange := surveyed("<unfamiliar>", many{3, under(key2)})
	v := Judge(Of(config, whole, counted(config, "secrets", many{2, under(key2)}), strange), config, nil)
	assert.Equal(t, Unproven, v.Outcome)
	assert.Equal(t, "the 2 objects of secrets that were counted are stored under aesgcm/2; 3 more can't be judged", v.Sentence)
	assert.Equal(t, []int64{5, 2, 3}, []int64{v.Objects, v.Current, v.Unjudged})
	assert.Empty(t, v.NotWhole)

	v = Judge(Of(config, whole, counted(config, "secrets", many{2, under(key1)}), strange), config, nil)
	assert.Equal(t, "2 of 2 objects of secrets are not stored under aesgcm/2: 2 under aesgcm/1, kept for reading only; 3 more can't be judged", v.Sentence)
	assert.Equal(t, Found, v.Outcome)
}

func TestAMissingKeyOfAnotherRuleWhereNoNodeWasAsked(t *testing.T) {
	t.Parallel()
	v := Judge(Of(config, []string{"secrets"}, counted(config, "secrets", many{2, under(key3)})), config, nil)
	assert.Equal(t, "2 of 2 objects of secrets are not stored under aesgcm/2: 2 under secretbox/2, which the configuration has for other resources only", v.Sentence)
}

// Two names that differ are never spelled alike, and what is spelled can be printed anywhere.
func TestASpellingCanBePrintedAndIsUnique(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.SampledFrom([]string{"a", "/", `\`, "x", "1b", "\x1b", "\xff", "\u202e", "\u009b", "\U000e0001", "u202e", "é", "\uFFFD", "\n"})
		draw := func(label string) string {
			var s string
			for _, p := range rapid.SliceOfN(piece, 0, 6).Draw(t, label) {
				s += p
			}
			return s
		}
		one, two := draw("one"), draw("two")
		assert.Equal(t, one == two, text(one) == text(two))
		for _, r := range text(one) {
			assert.True(t, unicode.IsPrint(r), "%q", r)
		}
		assert.True(t, utf8.ValidString(text(one)))
	})
	out, err := json.Marshal(text("\x1b[2J\u202e\xff\\\U000e0001é"))
	require.NoError(t, err)
	assert.Equal(t, `"\\x1b[2J\\u202e\\xff\\\\\\U000e0001é"`, string(out))
}
