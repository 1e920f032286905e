// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apiserverv1 "k8s.io/apiserver/pkg/apis/apiserver/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
)

const (
	// plaintext stands for a resource that is not encrypted.
	plaintext = "identity"
	// encryptedPrefix is what every encrypted value starts with.
	encryptedPrefix = "k8s:enc:"
)

// storage tells with which provider each resource is stored: "secrets", "widgets.e2e.example.com".
type storage map[string]string

// both is how Secrets and ConfigMaps are stored with one provider.
func both(provider string) storage {
	return storage{"secrets": provider, "configmaps": provider}
}

// writer is the key that a node's file writes a resource with: that of the first provider in the first entry that
// names the resource. Where none does, or it is identity, the provider is plaintext.
func (n *node) writer(t *testing.T, resource string) key {
	t.Helper()
	var config apiserverv1.EncryptionConfiguration
	require.NoError(t, yaml.UnmarshalStrict(n.read(t), &config))
	for _, entry := range config.Resources {
		for _, name := range entry.Resources {
			if names(name, resource) {
				return first(entry.Providers[0])
			}
		}
	}
	return key{provider: plaintext}
}

// names tells whether an entry's name stands for a resource (k8s.io/apiserver@v0.37.1 pkg/apis/apiserver/v1/types_encryption.go).
func names(name, resource string) bool {
	_, group, _ := strings.Cut(resource, ".")
	return name == resource || name == "*.*" || name == "*."+group
}

func first(p apiserverv1.ProviderConfiguration) key {
	named := func(provider string, keys []apiserverv1.Key) key {
		return key{provider: provider, name: keys[0].Name, secret: keys[0].Secret}
	}
	switch {
	case p.AESGCM != nil:
		return named("aesgcm", p.AESGCM.Keys)
	case p.AESCBC != nil:
		return named("aescbc", p.AESCBC.Keys)
	case p.Secretbox != nil:
		return named("secretbox", p.Secretbox.Keys)
	default:
		return key{provider: plaintext}
	}
}

// inEtcd is where etcd has a resource: group before name.
func inEtcd(resource string) string {
	name, group, grouped := strings.Cut(resource, ".")
	if grouped {
		return group + "/" + name
	}
	return name
}

// checkStorage requires that each value in etcd of each resource is stored as told, with the key that the files name.
func (c *cluster) checkStorage(t *testing.T, want storage) {
	t.Helper()
	for resource, provider := range want {
		prefix := ""
		if provider != plaintext {
			k := c.nodes[0].writer(t, resource)
			require.Equal(t, provider, k.provider, "%s are written with", resource)
			prefix = k.prefix()
		}
		values := c.stored(t, inEtcd(resource))
		for name, value := range values {
			assert.Equal(t, prefix != "", bytes.HasPrefix(value, []byte(encryptedPrefix)), "%s is encrypted", name)
			assert.True(t, bytes.HasPrefix(value, []byte(prefix)), "%s is stored with %q", name, prefix)
		}
		t.Logf("all %d %s are stored with %s", len(values), resource, provider)
	}
}

// checkEncrypted requires all that enable, and a disable that leaves the flags, promise when they have ended.
func (c *cluster) checkEncrypted(t *testing.T, want storage) {
	t.Helper()
	c.checkFlagsEverywhere(t)
	c.checkLoaded(t)
	c.checkCalm(t, want)
	for _, n := range c.nodes {
		n.checkFiles(t)
	}
	s := c.status(t)
	assert.Equal(t, v1alpha1.Enabled, s.Encryption)
	assert.True(t, s.Healthy, "%s %v", s.Summary, s.Problems)
}

// checkOff requires what there was before enable.
func (c *cluster) checkOff(t *testing.T, before setting) {
	t.Helper()
	assert.Equal(t, before, c.setting(t), "manifests and kubeadm's configuration are what they were, byte for byte")
	c.checkCalm(t, both(plaintext))
	assert.Equal(t, v1alpha1.Disabled, c.status(t).Encryption)
}

// checkCalm requires that everything is stored as told and readable, and that nothing is left of the plugin.
func (c *cluster) checkCalm(t *testing.T, want storage) {
	t.Helper()
	c.awaitNoGuard(t)
	c.checkNothingLeft(t)
	c.checkStorage(t, want)
	c.checkReadable(t)
}
