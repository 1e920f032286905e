// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

func TestDocument_TransformersFor_are_the_keys_of_the_rule_that_applies(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		doc := parsed(t, drawSample(t).text)
		resource := rapid.SampledFrom(append(scopes(), "widgets.example.com", "nodes")).Draw(t, "resource")
		want := []encconfig.Key{{Provider: encconfig.Identity}}
		if rule := doc.Describe().RuleFor(resource); rule != nil {
			want = rule.Keys
		}
		var got []encconfig.Key
		for _, step := range doc.TransformersFor(resource) {
			got = append(got, step.Key)
			if step.Key.Provider.Local() {
				require.Equal(t, step.Key.Fingerprint, step.Secret.Fingerprint(string(step.Key.Provider), step.Key.Name), "the key's own secret")
			} else {
				require.Zero(t, step.Secret.Len())
			}
		}
		require.Equal(t, want, got)
	})
}

func TestDocument_TransformersFor_has_the_secret_of_the_file(t *testing.T) {
	t.Parallel()
	doc := parsed(t, ruled("aesgcm: {keys: [{name: '2', secret: $B}, {name: '1', secret: $16}]}", "identity: {}"))
	steps := doc.TransformersFor("secrets")
	require.Len(t, steps, 3)
	assert.Equal(t, encoded('B', 32), steps[0].Secret.Base64())
	assert.Equal(t, encoded('D', 16), steps[1].Secret.Base64())
	assert.Equal(t, []encconfig.Transformer{{Key: key(encconfig.Identity, "")}}, doc.TransformersFor("configmaps"))
}
