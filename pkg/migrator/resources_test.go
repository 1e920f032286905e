// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrator

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
)

func TestEncryptedLeavesOutWhatNeedNotOrCannotBeMigrated(t *testing.T) {
	t.Parallel()
	served := []kube.Resource{}
	for _, name := range []string{
		"secrets.", "configmaps.", "events.", "events.events.k8s.io", "deployments.apps", "nodes.metrics.k8s.io", "tokenreviews.authentication.k8s.io",
	} {
		gr := schema.ParseGroupResource(name)
		served = append(served, kube.Resource{
			GVR: gr.WithVersion("v1"), Migratable: gr.Resource != "tokenreviews",
		})
	}
	aggregated := map[string]bool{"metrics.k8s.io": true}
	identity := encconfig.Key{Provider: encconfig.Identity}
	key := encconfig.Key{Provider: encconfig.AESGCM, Name: "1"}
	tests := map[string]struct {
		rules []encconfig.Rule
		want  []string
	}{
		"by name": {[]encconfig.Rule{{Resources: []string{"secrets"}, Keys: []encconfig.Key{key, identity}}}, []string{"secrets"}},
		"everything": {
			[]encconfig.Rule{{Resources: []string{"*.*"}, Keys: []encconfig.Key{key, identity}}}, []string{"secrets", "configmaps", "deployments.apps"},
		},
		"everything but what an earlier rule stores in plaintext": {
			[]encconfig.Rule{
				{Resources: []string{"configmaps"}, Keys: []encconfig.Key{identity, key}},
				{Resources: []string{"*.*"}, Keys: []encconfig.Key{key, identity}},
			}, []string{"secrets", "deployments.apps"},
		},
		"the core group":                   {[]encconfig.Rule{{Resources: []string{"*."}, Keys: []encconfig.Key{key}}}, []string{"secrets", "configmaps"}},
		"a resource that is not served":    {[]encconfig.Rule{{Resources: []string{"widgets.example.com"}, Keys: []encconfig.Key{key}}}, nil},
		"what can't be listed and patched": {[]encconfig.Rule{{Resources: []string{"tokenreviews.authentication.k8s.io"}, Keys: []encconfig.Key{key}}}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var names []string
			for _, r := range Encrypted(served, encconfig.Description{Rules: tt.rules}, aggregated) {
				names = append(names, r.Name())
			}
			assert.Equal(t, tt.want, names)
		})
	}
}

func TestUsesWildcard(t *testing.T) {
	t.Parallel()
	for resource, want := range map[string]bool{"secrets": false, "*.": true, "*.*": true, "*.apps": true, "deployments.apps": false} {
		assert.Equal(t, want, UsesWildcard(encconfig.Description{Rules: []encconfig.Rule{{Resources: []string{resource}}}}), resource)
	}
}
