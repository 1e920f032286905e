// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig

import (
	"slices"
	"strings"
)

// Description says what a configuration does, without any key material: it may be printed, logged and stored.
type Description struct {
	// Digest is "sha256:" and the hex digest of the file's bytes, as kube-apiserver 1.34 and later reports it
	// in apiserver_encryption_config_controller_last_config_info{hash}.
	Digest string `json:"digest"`
	// Rules in the order of the file; the first one that matches a resource applies to it.
	Rules []Rule `json:"rules"`
}

// Rule is one entry of an EncryptionConfiguration.
type Rule struct {
	// Resources as written: "secrets", "deployments.apps", "*.apps", "*.*".
	Resources []string `json:"resources"`
	// Keys in the order in which they are tried. The first one writes.
	Keys []Key `json:"keys"`
}

// Key stands for one transformer: a key of a provider, or identity, which has no key.
type Key struct {
	Provider Provider `json:"provider"`
	Name     string   `json:"name,omitempty"`
	// Fingerprint is empty for identity, for KMS and for a key that is not made yet.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Version is the apiVersion of a KMS provider, "v1" or "v2", empty for any other. kube-apiserver reads the values of a version
	// with an entry of the same version alone (k8s.io/apiserver@v0.37.2 pkg/server/options/encryptionconfig/config.go,
	// kmsPrefixTransformer).
	Version string `json:"version,omitempty"`
}

// String is the key as people see it: provider and name.
func (k Key) String() string {
	if k.Name == "" {
		return string(k.Provider)
	}
	return string(k.Provider) + "/" + k.Name
}

// KeyNames are keys as people see them, in a row.
func KeyNames(list []Key) string {
	parts := make([]string, len(list))
	for i, k := range list {
		parts[i] = k.String()
	}
	return strings.Join(parts, ", ")
}

// Is tells whether both are the same key by provider and name, which no two entries of a configuration share. Whether a stored
// value is under the key is for package stored to say.
func (k Key) Is(other Key) bool { return k.Provider == other.Provider && k.Name == other.Name }

// WriteKey is the key that encrypts what is stored from now on.
func (r Rule) WriteKey() Key { return r.Keys[0] }

// Encrypts tells whether the rule's resources are stored encrypted.
func (r Rule) Encrypts() bool { return r.WriteKey().Provider != Identity }

// Index is the position of a key in the rule, -1 if the rule lacks it.
func (r Rule) Index(k Key) int { return slices.IndexFunc(r.Keys, k.Is) }

// Covers tells whether the rule applies to a resource by its own words, wildcards included. The resource is
// written as in the file: "secrets", "deployments.apps".
func (r Rule) Covers(resource string) bool {
	return slices.ContainsFunc(r.Resources, func(pattern string) bool { return covers(pattern, resource) })
}

// RuleFor is the rule that applies to a resource, nil if there is none and it is stored in plaintext.
func (d Description) RuleFor(resource string) *Rule {
	for i := range d.Rules {
		if d.Rules[i].Covers(resource) {
			return &d.Rules[i]
		}
	}
	return nil
}

// EncryptingRules are the rules whose resources are stored encrypted.
func (d Description) EncryptingRules() []Rule {
	return slices.DeleteFunc(slices.Clone(d.Rules), func(r Rule) bool { return !r.Encrypts() })
}

// WriteKeys are the distinct write keys of all encrypting rules, in the order of the file.
func (d Description) WriteKeys() []Key {
	var keys []Key
	for _, r := range d.EncryptingRules() {
		if !slices.ContainsFunc(keys, r.WriteKey().Is) {
			keys = append(keys, r.WriteKey())
		}
	}
	return keys
}

// Keys are the distinct keys of all rules that have a name, in the order of the file.
func (d Description) Keys() []Key {
	var keys []Key
	for _, r := range d.Rules {
		for _, k := range r.Keys {
			if k.Name != "" && !slices.ContainsFunc(keys, k.Is) {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// Uses tells whether any rule has a transformer of the provider.
func (d Description) Uses(p Provider) bool {
	return slices.ContainsFunc(d.Rules, func(r Rule) bool {
		return slices.ContainsFunc(r.Keys, func(k Key) bool { return k.Provider == p })
	})
}

// Has tells whether any rule has the key, in whatever place.
func (d Description) Has(k Key) bool { return slices.ContainsFunc(d.Keys(), k.Is) }

// Reads tells whether every encrypting rule can read the key.
func (d Description) Reads(k Key) bool {
	rules := d.EncryptingRules()
	return len(rules) > 0 && !slices.ContainsFunc(rules, func(r Rule) bool { return r.Index(k) < 0 })
}

// Writes tells whether any rule writes with the key.
func (d Description) Writes(k Key) bool { return slices.ContainsFunc(d.WriteKeys(), k.Is) }

// SameContent tells whether both descriptions say the same, whatever their digests are.
func (d Description) SameContent(other Description) bool {
	return slices.EqualFunc(d.Rules, other.Rules, func(a, b Rule) bool {
		return slices.Equal(a.Resources, b.Resources) && slices.Equal(a.Keys, b.Keys)
	})
}
