// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// two is a configuration of two encrypting rules and one that does not encrypt.
func two() encconfig.Description {
	return encconfig.Description{Rules: []encconfig.Rule{
		{Resources: []string{"secrets"}, Keys: []encconfig.Key{key("aesgcm", "2"), key("aesgcm", "1"), key("identity", "")}},
		{Resources: []string{"events"}, Keys: []encconfig.Key{key("identity", ""), key("aescbc", "old")}},
		{Resources: []string{"configmaps"}, Keys: []encconfig.Key{key("kms", "vault"), key("aesgcm", "2"), key("aesgcm", "1")}},
	}}
}

func TestChange_Apply(t *testing.T) {
	t.Parallel()
	one := func(p encconfig.Provider, name string) []encconfig.Key { return []encconfig.Key{key(p, name)} }
	const events = "events: identity aescbc/old"
	tests := map[string]struct {
		change encconfig.Change
		want   []string
		refuse string
	}{
		"keep => everything stays": {
			change: encconfig.Change{Kind: encconfig.KeepAll},
			want:   []string{"secrets: aesgcm/2 aesgcm/1 identity", events, "configmaps: kms/vault aesgcm/2 aesgcm/1"},
		},
		"a new read key => behind the write key of every encrypting rule": {
			change: encconfig.Change{Kind: encconfig.AddReadKey, Keys: one("secretbox", "3")},
			want:   []string{"secrets: aesgcm/2 secretbox/3 aesgcm/1 identity", events, "configmaps: kms/vault secretbox/3 aesgcm/2 aesgcm/1"},
		},
		"a new write key => in front of every encrypting rule": {
			change: encconfig.Change{Kind: encconfig.AddWriteKey, Keys: one("aesgcm", "3")},
			want:   []string{"secrets: aesgcm/3 aesgcm/2 aesgcm/1 identity", events, "configmaps: aesgcm/3 kms/vault aesgcm/2 aesgcm/1"},
		},
		"promote => to the front, and the others keep their order": {
			change: encconfig.Change{Kind: encconfig.Promote, Keys: one("aesgcm", "1")},
			want:   []string{"secrets: aesgcm/1 aesgcm/2 identity", events, "configmaps: aesgcm/1 kms/vault aesgcm/2"},
		},
		"remove => from every encrypting rule": {
			change: encconfig.Change{Kind: encconfig.Remove, Keys: one("aesgcm", "1")},
			want:   []string{"secrets: aesgcm/2 identity", events, "configmaps: kms/vault aesgcm/2"},
		},
		"remove what is not there => everything stays": {
			change: encconfig.Change{Kind: encconfig.Remove, Keys: one("aesgcm", "9")},
			want:   []string{"secrets: aesgcm/2 aesgcm/1 identity", events, "configmaps: kms/vault aesgcm/2 aesgcm/1"},
		},
		"remove a write key => refused":                   {change: encconfig.Change{Kind: encconfig.Remove, Keys: one("aesgcm", "2")}, refuse: "aesgcm/2 is the write key"},
		"promote an unknown key => refused":               {change: encconfig.Change{Kind: encconfig.Promote, Keys: one("aesgcm", "9")}, refuse: "aesgcm/9 is not a read key"},
		"promote a key that one rule lacks => refused":    {change: encconfig.Change{Kind: encconfig.Promote, Keys: one("aescbc", "old")}, refuse: "aescbc/old is not a read key"},
		"promote two keys => refused":                     {change: encconfig.Change{Kind: encconfig.Promote, Keys: []encconfig.Key{key("aesgcm", "1"), key("aesgcm", "2")}}, refuse: "needs one key"},
		"add a key that is there => refused":              {change: encconfig.Change{Kind: encconfig.AddReadKey, Keys: one("aesgcm", "1")}, refuse: "aesgcm/1 is there already"},
		"add a name that a plaintext rule has => refused": {change: encconfig.Change{Kind: encconfig.AddReadKey, Keys: one("aescbc", "old")}, refuse: "aescbc/old is there already"},
		"add no key => refused":                           {change: encconfig.Change{Kind: encconfig.AddReadKey}, refuse: "needs one key"},
		"add a KMS plugin => refused":                     {change: encconfig.Change{Kind: encconfig.AddReadKey, Keys: one("kms", "hsm")}, refuse: "of a local provider"},
		"add a name that Parse would not take => refused": {change: encconfig.Change{Kind: encconfig.AddReadKey, Keys: one("aesgcm", "a:b")}, refuse: "needs one key"},
		"a change that nobody knows => refused":           {change: encconfig.Change{Kind: "shuffle", Keys: one("aesgcm", "1")}, refuse: "unknown change"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := two()
			got, err := test.change.Apply(before)
			assert.Equal(t, two(), before, "the description that is given stays as it is")
			if test.refuse != "" {
				require.ErrorIs(t, err, encconfig.ErrRefused)
				assert.ErrorContains(t, err, test.refuse)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.want, words(got))
		})
	}
}

func TestChange_Apply_refuses_where_nothing_is_encrypted(t *testing.T) {
	t.Parallel()
	plaintext := encconfig.Description{Rules: two().Rules[1:2]}
	for _, kind := range []encconfig.ChangeKind{encconfig.AddReadKey, encconfig.AddWriteKey, encconfig.Promote, encconfig.Remove} {
		_, err := encconfig.Change{Kind: kind, Keys: []encconfig.Key{key("aesgcm", "3")}}.Apply(plaintext)
		require.ErrorIs(t, err, encconfig.ErrRefused, kind)
	}
	kept, err := encconfig.Change{Kind: encconfig.KeepAll}.Apply(plaintext)
	require.NoError(t, err)
	assert.True(t, kept.SameContent(plaintext))
}

func TestDocument_Apply_promotes_across_providers_that_share_no_entry(t *testing.T) {
	t.Parallel()
	doc := parsed(t, ruled("aescbc: {keys: [{name: '1', secret: $A}]}", "secretbox: {keys: [{name: '2', secret: $B}]}", "identity: {}"))
	next, err := doc.Apply(encconfig.Change{Kind: encconfig.Promote, Keys: []encconfig.Key{key("secretbox", "2")}}, secretOf('Z'))
	require.NoError(t, err)
	assert.Equal(t, []string{"secrets: secretbox/2 aescbc/1 identity"}, words(next.Describe()))
	requireUpstreamAgrees(t, next)
}
