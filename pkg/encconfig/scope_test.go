// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// gcm is a provider with one key, as a line of YAML in flow style.
func gcm(name, secret string) string {
	return `aesgcm: {keys: [{name: "` + name + `", secret: ` + secret + `}]}`
}

func TestChange_Apply_to_resources(t *testing.T) {
	t.Parallel()
	fresh, identity := key("aesgcm", "2"), key("identity", "")
	add := func(k encconfig.Key, resources ...string) encconfig.Change {
		return encconfig.Change{Kind: encconfig.AddReadKey, Keys: []encconfig.Key{k}, Resources: resources}
	}
	promote := func(k encconfig.Key, resources ...string) encconfig.Change {
		return encconfig.Change{Kind: encconfig.Promote, Keys: []encconfig.Key{k}, Resources: resources}
	}
	const secretsAndMore = `["secrets", "configmaps"]`
	tests := map[string]struct {
		before string
		change encconfig.Change
		want   []string
		refuse string
	}{
		"a first key => identity writes, the key is read": {
			change: add(fresh, "secrets", "configmaps"), want: []string{"secrets,configmaps: identity aesgcm/2"},
		},
		"a resource that has no rule => a rule of its own at the end": {
			before: listed("[secrets]", gcm("1", "$A"), "identity: {}"), change: add(key("aesgcm", "1"), "configmaps"),
			want: []string{"secrets: aesgcm/1 identity", "configmaps: identity aesgcm/1"},
		},
		"a part of a rule => it is split, the part first": {
			before: listed(secretsAndMore, gcm("1", "$A"), "identity: {}"), change: promote(identity, "configmaps"),
			want: []string{"configmaps: identity aesgcm/1", "secrets: aesgcm/1 identity"},
		},
		"a whole rule => it stays one": {
			before: listed(secretsAndMore, gcm("1", "$A"), "identity: {}"), change: promote(identity, "configmaps", "secrets"),
			want: []string{"secrets,configmaps: identity aesgcm/1"},
		},
		"what a wildcard covers => split out with the wildcard's keys, before it": {
			before: listed(`["*.*"]`, gcm("1", "$A"), "identity: {}"), change: promote(identity, "deployments.apps"),
			want: []string{"deployments.apps: identity aesgcm/1", "*.*: aesgcm/1 identity"},
		},
		"a narrower wildcard => split out of the broader one, behind what is narrower still": {
			before: filled(header + "resources:\n" + entry(`["deployments.apps"]`, "identity: {}") + entry(`["*.*"]`, gcm("1", "$A"), "identity: {}")),
			change: promote(identity, "*.apps"),
			want:   []string{"deployments.apps: identity", "*.apps: identity aesgcm/1", "*.*: aesgcm/1 identity"},
		},
		"a wildcard => what it covers follows, and the rest gets a rule": {
			before: filled(header + "resources:\n" + entry(`["deployments.apps", "secrets"]`, gcm("1", "$A"), "identity: {}")),
			change: add(fresh, "*.apps"),
			want:   []string{"deployments.apps: aesgcm/1 aesgcm/2 identity", "secrets: aesgcm/1 identity", "*.apps: identity aesgcm/2"},
		},
		"a resource beside the wildcard that covers it => the wildcard": {
			change: add(fresh, "deployments.apps", "*.apps", "*.apps"), want: []string{"*.apps: identity aesgcm/2"},
		},
		"identity as a read key => behind all others": {
			before: listed("[secrets]", gcm("1", "$A"), gcm("3", "$B")), change: add(identity, "secrets"), want: []string{"secrets: aesgcm/1 aesgcm/3 identity"},
		},
		"a key that one rule of several has => the others get it": {
			before: filled(header + "resources:\n" + entry("[secrets]", gcm("1", "$A"), "identity: {}") + entry("[configmaps]", "identity: {}")),
			change: add(key("aesgcm", "1"), "secrets", "configmaps"),
			want:   []string{"secrets: aesgcm/1 identity", "configmaps: identity aesgcm/1"},
		},
		"identity promoted for everything that encrypts => refused": {
			before: listed("[secrets]", gcm("1", "$A"), "identity: {}"), change: promote(identity), refuse: "needs one key",
		},
		"a write key at once => refused": {
			change: encconfig.Change{Kind: encconfig.AddWriteKey, Keys: []encconfig.Key{fresh}, Resources: []string{"secrets"}}, refuse: "for all resources",
		},
		"what kube-apiserver refuses => refused": {change: add(fresh, "events.events.k8s.io"), refuse: "events.events.k8s.io"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc := encconfig.Empty()
			if tc.before != "" {
				doc = parsed(t, tc.before)
			}
			next, err := doc.Apply(tc.change, secretOf('Z'))
			if tc.refuse != "" {
				require.ErrorIs(t, err, encconfig.ErrRefused)
				assert.ErrorContains(t, err, tc.refuse)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tc.want, words(next.Describe()))
		})
	}
}
