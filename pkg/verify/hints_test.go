// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

func TestADeletionIsSuggestedOnlyWhereNoKeyCanHelp(t *testing.T) {
	t.Parallel()
	config := encconfig.Description{Digest: "sha256:x", Rules: []encconfig.Rule{{
		Resources: []string{"secrets"}, Keys: []encconfig.Key{{Provider: encconfig.AESGCM, Name: "2"}},
	}}}
	nobody := []encconfig.Key{{Provider: encconfig.AESGCM, Name: "2"}}
	under := func(state census.State, provider encconfig.Provider, key string) census.Group {
		return census.Group{State: state, Provider: provider, Key: key, Version: "v1", Objects: 1, Names: []string{"ns/a"}}
	}
	many := under(census.Missing, "", "")
	many.Others = true
	for name, tt := range map[string]struct {
		resource string
		group    census.Group
		held     []encconfig.Key
		config   encconfig.Description
		want     bool
	}{
		"damaged beyond any key":                               {"secrets", under(census.Undecodable, "", ""), nil, config, true},
		"under a key that no node has":                         {"secrets", under(census.Missing, encconfig.AESGCM, "0"), nobody, config, true},
		"not if not every node could be asked":                 {"secrets", under(census.Missing, encconfig.AESGCM, "0"), nil, config, false},
		"not if a node has the key":                            {"secrets", under(census.Missing, encconfig.AESGCM, "0"), []encconfig.Key{{Provider: encconfig.AESGCM, Name: "0"}}, config, false},
		"not if the configuration has it for others":           {"secrets", under(census.Missing, encconfig.AESGCM, "2"), nobody, config, false},
		"not what another key of that name may open":           {"secrets", under(census.Undecryptable, encconfig.AESGCM, "2"), nobody, config, false},
		"not what a later version may read":                    {"secrets", under(census.Unknown, "", ""), nobody, config, false},
		"not a plugin's":                                       {"secrets", under(census.Missing, encconfig.KMS, "vault"), nobody, config, false},
		"not where the keys are too many to know them":         {"secrets", many, nobody, config, false},
		"not of a key that is no resource's":                   {Unfamiliar, under(census.Undecodable, "", ""), nobody, config, false},
		"not where the flags may be lost, and the file is not": {"secrets", under(census.Undecodable, "", ""), []encconfig.Key{}, encconfig.Description{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := Result{
				Census: census.Census{Tallies: []census.Tally{{Resource: tt.resource, Objects: 1, Groups: []census.Group{tt.group}}}},
				Config: tt.config, Held: tt.held,
			}
			_, _, ok := hopeless(r)
			assert.Equal(t, tt.want, ok)
		})
	}
}

func TestADoubtKeepsAResultFromBeingClean(t *testing.T) {
	t.Parallel()
	key := encconfig.Key{Provider: encconfig.AESGCM, Name: "2"}
	r := Result{
		Config: encconfig.Description{Digest: "sha256:x", Rules: []encconfig.Rule{{Resources: []string{"secrets"}, Keys: []encconfig.Key{key}}}},
		Census: census.Census{Whole: []string{"*.*"}, Tallies: []census.Tally{{Resource: "secrets", WriteKey: key, Objects: 1, Groups: []census.Group{
			{State: census.Current, Readable: true, Provider: key.Provider, Key: key.Name, Version: "v1", Objects: 1},
		}}}},
	}
	v, _ := verdict(&r)
	assert.Equal(t, census.Clean, v.Outcome)
	r.Doubts = []string{"the kube-apiserver on node n2 runs with another configuration"}
	v, _ = verdict(&r)
	assert.Equal(t, census.Unproven, v.Outcome)
	assert.Equal(t, r.Doubts[0], v.UnusedUnknown)
}
