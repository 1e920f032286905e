// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package census

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

// many is so many values of a kind.
type many struct {
	n    int
	mark stored.Mark
}

func counted(config encconfig.Description, resource string, values ...many) Tally {
	c := NewCounter(config, resource, 3)
	for _, v := range values {
		for i := range v.n {
			c.Add(fmt.Appendf(nil, "ns/%d", i), v.mark)
		}
	}
	return c.Tally()
}

func TestTheSentenceSaysWhatWasFound(t *testing.T) {
	t.Parallel()
	secrets, configmaps := []string{"secrets"}, []string{"configmaps", "secrets"}
	tests := map[string]struct {
		whole   []string
		tallies []Tally
		held    []encconfig.Key
		want    Outcome
		text    string
	}{
		"all is well": {
			secrets,
			[]Tally{counted(config, "secrets", many{1234, under(key2)})},
			nil,
			Clean, "all 1,234 objects of secrets are stored under aesgcm/2",
		},
		"one object": {
			secrets,
			[]Tally{counted(config, "secrets", many{1, under(key2)})},
			nil,
			Clean, "the one object of secrets is stored under aesgcm/2",
		},
		"no object": {secrets, []Tally{counted(config, "secrets")}, nil, Clean, "no object of secrets is stored"},
		"two resources that are stored in two ways": {
			[]string{"*.*"},
			[]Tally{counted(config, "secrets", many{1000, under(key2)}), counted(config, "configmaps", many{234, under(plugin)})},
			nil, Clean, "all 1,234 objects of 2 resources are stored as configured: 1,000 under aesgcm/2, 234 under kms/vault",
		},
		"plaintext that is meant": {
			[]string{"*.apps"},
			[]Tally{counted(config, "deployments.apps", many{2, plaintext})},
			nil,
			Clean, "all 2 objects of deployments.apps are stored in plaintext",
		},
		"some are not": {
			secrets,
			[]Tally{counted(config, "secrets", many{1231, under(key2)}, many{1, plaintext}, many{2, forgotten})},
			[]encconfig.Key{key1, key2},
			Found, "3 of 1,234 objects of secrets are not stored under aesgcm/2: 2 under aesgcm/old, which no node has, 1 in plaintext",
		},
		"one is not": {
			secrets,
			[]Tally{counted(config, "secrets", many{9, under(key2)}, many{1, under(key1)})},
			nil,
			Found, "1 of 10 objects of secrets is not stored under aesgcm/2: 1 under aesgcm/1, kept for reading only",
		},
		"a missing key that a node has": {
			secrets,
			[]Tally{counted(config, "secrets", many{2, forgotten})},
			[]encconfig.Key{{Provider: "aesgcm", Name: "old"}},
			Found, "2 of 2 objects of secrets are not stored under aesgcm/2: 2 under aesgcm/old, which the configuration lacks for them and a node has",
		},
		"a missing key where no node was asked": {
			secrets,
			[]Tally{counted(config, "secrets", many{2, forgotten})},
			nil,
			Found, "2 of 2 objects of secrets are not stored under aesgcm/2: 2 under aesgcm/old, which the configuration lacks for them",
		},
		"a missing key of another rule": {
			secrets,
			[]Tally{counted(config, "secrets", many{2, under(key3)})},
			[]encconfig.Key{},
			Found, "2 of 2 objects of secrets are not stored under aesgcm/2: 2 under secretbox/2, which the configuration lacks for them and a node has",
		},
		"two missing keys": {
			secrets,
			[]Tally{counted(config, "secrets", many{2, forgotten}, many{3, under(plugin)}, many{1, under(encconfig.Key{Provider: "kms", Name: "gone"})})},
			[]encconfig.Key{},
			Found, "6 of 6 objects of secrets are not stored under aesgcm/2: 3 under 2 keys, which no node has, " +
				"3 under kms/vault, which the configuration lacks for them and a node has",
		},
		"everything at once, the worst first": {
			configmaps,
			[]Tally{
				counted(config, "secrets", many{9, under(key2)}, many{1, plaintext}, many{2, forgotten}, many{4, under(key1)}, many{5, foreign}, many{6, garbage}),
				counted(config, "configmaps", many{3, plaintext}, many{1, damaged(plugin)}),
			},
			nil, Found, "22 of 31 objects of 2 resources are not stored as configured: 2 under aesgcm/old, which the configuration lacks for them, " +
				"7 that can't be decoded, 5 of a provider that is not known, 3 in plaintext, which the configuration does not read, " +
				"1 in plaintext, 4 under aesgcm/1, kept for reading only",
		},
		"not to the end": {
			nil,
			[]Tally{counted(config, "secrets", many{1234, under(key2)})},
			nil,
			Unproven, "the 1,234 objects of secrets that were counted are stored under aesgcm/2; secrets was not counted to the end",
		},
		"one, and not to the end": {
			nil,
			[]Tally{counted(config, "secrets", many{1, under(key2)})},
			nil,
			Unproven, "the one object of secrets that was counted is stored under aesgcm/2; secrets was not counted to the end",
		},
		"none, and not to the end": {
			nil,
			[]Tally{counted(config, "secrets"), counted(config, "configmaps")},
			nil,
			Unproven, "no object of 2 resources was found; configmaps, secrets were not counted to the end",
		},
		"found, and not to the end": {
			secrets,
			[]Tally{counted(config, "secrets", many{1, plaintext}), counted(config, "configmaps")},
			nil,
			Found, "1 of 1 objects of 2 resources is not stored under aesgcm/2: 1 in plaintext; configmaps was not counted to the end",
		},
		"nothing at all":           {nil, nil, nil, Unproven, "nothing was counted"},
		"nothing is stored at all": {[]string{"*.*"}, nil, nil, Clean, "no object of *.* is stored"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := Judge(Of(config, tt.whole, tt.tallies...), config, tt.held)
			assert.Equal(t, tt.text, v.Sentence)
			assert.Equal(t, tt.want, v.Outcome)
		})
	}
}

func TestTooManyKeysAreNotNamed(t *testing.T) {
	t.Parallel()
	c := NewCounter(config, "secrets", 0)
	for i := range MaxGroups + 2 {
		c.Add([]byte("ns/a"), under(encconfig.Key{Provider: "aesgcm", Name: fmt.Sprintf("x%d", i)}))
	}
	v := Judge(Of(config, []string{"*.*"}, c.Tally()), config, nil)
	assert.Equal(t, "258 of 258 objects of secrets are not stored under aesgcm/2: 258 under a great many keys, which the configuration lacks for them", v.Sentence)
	assert.Equal(t, "the values of secrets name too many keys to keep them apart", v.UnusedUnknown)
	assert.Empty(t, v.Unused)
}

func TestAKeyIsUnusedOnlyIfNothingCanUseIt(t *testing.T) {
	t.Parallel()
	everything := []string{"*.*"}
	tests := map[string]struct {
		whole   []string
		tallies []Tally
		want    []encconfig.Key
		unknown string
	}{
		"what only reads and is named by no value":  {everything, []Tally{counted(config, "secrets", many{5, under(key2)})}, []encconfig.Key{key1, key3}, ""},
		"not what one value names":                  {everything, []Tally{counted(config, "secrets", many{1, under(key1)})}, []encconfig.Key{key3}, ""},
		"not what a damaged value names":            {everything, []Tally{counted(config, "secrets", many{1, damaged(key1)})}, []encconfig.Key{key3}, ""},
		"not what a value names that can't read it": {everything, []Tally{counted(config, "pods", many{1, under(key3)})}, []encconfig.Key{key1}, ""},
		"a write key never, with no value at all":   {[]string{"*.*"}, nil, []encconfig.Key{key1, key3}, ""},
		"nothing is told if no rule is about some":  {[]string{"secrets", "configmaps", "*.apps"}, nil, nil, "a value of a resource that no rule is about may name any key; *.* was not counted"},
		"nothing is told if a resource lacks":       {[]string{"secrets", "*.apps"}, nil, nil, "configmaps was not counted to the end"},
		"nor if a part of a wildcard was counted":   {[]string{"secrets", "configmaps", "deployments.apps"}, nil, nil, "*.apps was not counted to the end"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := Judge(Of(config, tt.whole, tt.tallies...), config, nil)
			assert.Equal(t, tt.want, v.Unused)
			assert.Equal(t, tt.unknown, v.UnusedUnknown)
		})
	}
}

func TestShareNeverSaysAllOfSome(t *testing.T) {
	t.Parallel()
	for want, n := range map[string][2]int64{
		"100%": {5, 5}, "0%": {0, 5}, "50%": {1, 2}, "33.33%": {1, 3}, "66.66%": {2, 3}, "99.99%": {999_999, 1_000_000},
		"<0.01%": {1, 1_000_000}, "0.01%": {1, 10_000}, "5.05%": {101, 2000}, "99%": {99, 100},
	} {
		assert.Equal(t, want, Share(n[0], n[1]))
	}
	assert.Equal(t, "100%", Share(0, 0))
	const huge = 1<<63 - 1
	assert.Equal(t, "99.99%", Share(huge-1, huge))
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -123: "-123", -1234: "-1,234"} {
		assert.Equal(t, want, Number(n))
	}
}

func TestTheOutcomeIsAnExitCode(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []int{0, 2, 1, 1}, []int{Clean.ExitCode(), Found.ExitCode(), Unproven.ExitCode(), Outcome("").ExitCode()})
}

func TestADoubtfulVerdictProvesNothing(t *testing.T) {
	t.Parallel()
	clean := Judge(Of(config, []string{"*.*"}, counted(config, "secrets", many{5, under(key2)})), config, nil)
	assert.Equal(t, Clean, clean.Outcome)
	assert.NotEmpty(t, clean.Unused)
	v := clean.Doubtful("a kube-apiserver has loaded something else")
	assert.Equal(t, Unproven, v.Outcome)
	assert.Empty(t, v.Unused)
	assert.Equal(t, "a kube-apiserver has loaded something else", v.UnusedUnknown)
	assert.Equal(t, clean.Sentence+"; that this is all is not proven", v.Sentence)
	found := Judge(Of(config, []string{"*.*"}, counted(config, "secrets", many{5, forgotten})), config, nil).Doubtful("x")
	assert.Equal(t, Found, found.Outcome, "what is wrong stays wrong")
}
