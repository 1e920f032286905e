// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

func TestRule_Covers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		pattern, resource string
		want              bool
	}{
		"a resource covers itself":                          {"secrets", "secrets", true},
		"a resource does not cover its like in a group":     {"secrets", "secrets.example", false},
		"the core wildcard covers a core resource":          {"*.", "secrets", true},
		"the core wildcard covers no group":                 {"*.", "deployments.apps", false},
		"a group wildcard covers its group":                 {"*.apps", "deployments.apps", true},
		"a group wildcard covers no group that ends alike":  {"*.example", "pandas.bears.example", false},
		"a group wildcard covers a group of several labels": {"*.bears.example", "pandas.bears.example", true},
		"everything covers a core resource":                 {"*.*", "secrets", true},
		"everything covers a custom resource":               {"*.*", "pandas.bears.example", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, encconfig.Rule{Resources: []string{test.pattern}}.Covers(test.resource))
		})
	}
}

func TestDescription_RuleFor_takes_the_first_that_matches(t *testing.T) {
	t.Parallel()
	d := encconfig.Description{Rules: []encconfig.Rule{
		{Resources: []string{"events"}, Keys: []encconfig.Key{key("identity", "")}},
		{Resources: []string{"*."}, Keys: []encconfig.Key{key("aesgcm", "1")}},
	}}
	require.NotNil(t, d.RuleFor("events"))
	assert.False(t, d.RuleFor("events").Encrypts())
	require.NotNil(t, d.RuleFor("secrets"))
	assert.True(t, d.RuleFor("secrets").Encrypts())
	assert.Nil(t, d.RuleFor("deployments.apps"), "no rule: stored in plaintext")
}

func TestDescription_tells_keys(t *testing.T) {
	t.Parallel()
	d := two()
	assert.Equal(t, []encconfig.Key{key("aesgcm", "2"), key("kms", "vault")}, d.WriteKeys())
	assert.Equal(t, []encconfig.Key{key("aesgcm", "2"), key("aesgcm", "1"), key("aescbc", "old"), key("kms", "vault")}, d.Keys())
	assert.True(t, d.Reads(key("aesgcm", "1")), "in every encrypting rule")
	assert.False(t, d.Reads(key("kms", "vault")), "missing in one")
	assert.True(t, d.Writes(key("kms", "vault")))
	assert.False(t, d.Writes(key("aesgcm", "1")))
	assert.True(t, d.Uses(encconfig.KMS))
	assert.False(t, d.Uses(encconfig.Secretbox))
	assert.False(t, encconfig.Description{}.Reads(key("aesgcm", "1")), "without a rule nothing is read")
}

func TestDigest_is_what_kube_apiserver_reports(t *testing.T) {
	t.Parallel()
	assert.Equal(t, fmt.Sprintf("sha256:%x", sha256.Sum256([]byte("a"))), encconfig.Digest([]byte("a")))
}

func TestParseProvider(t *testing.T) {
	t.Parallel()
	for _, p := range encconfig.LocalProviders() {
		got, err := encconfig.ParseProvider(string(p))
		require.NoError(t, err)
		assert.Equal(t, p, got)
	}
	for _, other := range []string{"kms", "identity", "AESGCM", ""} {
		_, err := encconfig.ParseProvider(other)
		require.ErrorContains(t, err, "unknown provider", other)
	}
}

func TestAKMSPluginSaysWhichVersionItIs(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ entry, want string }{
		"v2":                      {kmsV2("vault"), `{"provider":"kms","name":"vault","version":"v2"}`},
		"v1":                      {"kms: {apiVersion: v1, name: vault, endpoint: 'unix:///a'}", `{"provider":"kms","name":"vault","version":"v1"}`},
		"no version, which is v1": {"kms: {name: vault, endpoint: 'unix:///a'}", `{"provider":"kms","name":"vault","version":"v1"}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := json.Marshal(parsed(t, ruled(tt.entry)).Describe().Rules[0].Keys[0])
			require.NoError(t, err)
			assert.JSONEq(t, tt.want, string(got))
		})
	}
	v1, v2 := parsed(t, ruled("kms: {name: a, endpoint: 'unix:///a'}")).Describe(), parsed(t, ruled(kmsV2("a"))).Describe()
	assert.False(t, v1.SameContent(v2))
}
