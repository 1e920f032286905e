// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package revision_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/revision"
)

func keeps(name string, digests ...string) revision.Node {
	n := revision.Node{Name: name}
	for i, d := range digests {
		n.History = append(n.History, agentapi.Revision{Number: i + 1, Config: encconfig.Description{Digest: "sha256:" + d}})
	}
	return n
}

func TestFind(t *testing.T) {
	t.Parallel()
	same := []revision.Node{keeps("n1", "aaaaaa1", "bbbbbb1"), keeps("n2", "aaaaaa1", "bbbbbb1", "cccccc1")}
	apart := []revision.Node{keeps("n1", "aaaaaa1", "bbbbbb1"), keeps("n2", "bbbbbb1", "bbbbbb2"), keeps("n3")}
	tests := map[string]struct {
		nodes      []revision.Node
		name       string
		want, fail string
	}{
		"a number that is the same on every node that has it": {same, "2", "sha256:bbbbbb1", ""},
		"a number that one node alone has":                    {same, "3", "sha256:cccccc1", ""},
		"a number of a node":                                  {apart, "n2/2", "sha256:bbbbbb2", ""},
		"a digest":                                            {apart, "sha256:aaaaaa1", "sha256:aaaaaa1", ""},
		"the beginning of a digest":                           {apart, "sha256:aaaaaa", "sha256:aaaaaa1", ""},
		"a digest that two nodes have under other numbers":    {apart, "sha256:bbbbbb1", "sha256:bbbbbb1", ""},
		"a number that differs":                               {apart, "2", "", "revision 2 means more than one configuration: n1/2 sha256:bbbbbb1, n2/2 sha256:bbbbbb2"},
		"a beginning that is of two":                          {apart, "sha256:bbbbbb", "", "means more than one"},
		"a number that is nowhere":                            {same, "9", "", "no node keeps a revision 9"},
		"a node that does not have it":                        {apart, "n3/1", "", "no node keeps a revision n3/1"},
		"a digest that is nowhere":                            {same, "sha256:ffffff", "", "no node keeps"},
		"too little of a digest":                              {same, "sha256:aa", "", `"sha256:aa" does not name a revision`},
		"nothing":                                             {same, "", "", "does not name a revision"},
		"something else":                                      {same, "../1", "", "does not name a revision"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := revision.Find(tt.nodes, tt.name)
			if tt.fail != "" {
				require.ErrorContains(t, err, tt.fail)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.want, d.Digest)
		})
	}
}

func TestTarget(t *testing.T) {
	t.Parallel()
	one := encconfig.Key{Provider: encconfig.AESGCM, Name: "1", Fingerprint: "f1"}
	two := encconfig.Key{Provider: encconfig.Secretbox, Name: "2", Fingerprint: "f2"}
	plain := encconfig.Key{Provider: encconfig.Identity}
	rules := func(lists ...[]encconfig.Key) encconfig.Description {
		d := encconfig.Description{Digest: "sha256:0123456789abcdef"}
		for _, list := range lists {
			d.Rules = append(d.Rules, encconfig.Rule{Keys: list})
		}
		return d
	}
	tests := map[string]struct {
		config encconfig.Description
		fail   string
	}{
		"one write key":                           {rules([]encconfig.Key{one, two, plain}), ""},
		"one write key, and what is decrypted":    {rules([]encconfig.Key{one, plain}, []encconfig.Key{plain, two}), ""},
		"one write key of two rules":              {rules([]encconfig.Key{one}, []encconfig.Key{one, two}), ""},
		"several write keys":                      {rules([]encconfig.Key{one}, []encconfig.Key{two}), "several keys (aesgcm/1, secretbox/2)"},
		"plaintext":                               {rules([]encconfig.Key{plain, one}), "sha256:0123456789ab stores everything in plaintext"},
		"a KMS":                                   {rules([]encconfig.Key{{Provider: encconfig.KMS, Name: "plugin1"}}), "KMS"},
		"a configuration that nobody understands": {encconfig.Description{Digest: "sha256:0123456789abcdef"}, "is not understood"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, err := revision.Target(tt.config)
			if tt.fail != "" {
				require.ErrorContains(t, err, tt.fail)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, one, k)
		})
	}
}
