// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig

import (
	"fmt"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
)

// Become gives a new document that does what rules say, in block-style YAML. Entries that stay keep their comments, and
// so do keys that stay in their entry; a document that does so already is given back with the very bytes. The material
// of a key that no entry of the document has is asked for. ErrRefused if it is not there, or is not the key's, and for
// a KMS provider that the document does not have in that place.
func (d *Document) Become(rules []Rule, secret func(Key) (keys.Secret, bool)) (*Document, error) {
	want := Description{Rules: rules}
	if d.Describe().SameContent(want) {
		return d, nil
	}
	next, err := d.again()
	if err != nil {
		return nil, fmt.Errorf("parse again: %w", err)
	}
	entries := next.entriesFor(rules)
	material, err := next.materialFor(rules, entries, secret)
	if err != nil {
		return nil, err
	}
	for i := range entries {
		entries[i].list(rules[i].Resources)
		next.arrange(&entries[i], rules[i].Keys, func(k Key) keys.Secret { return material[k] })
	}
	next.rules = entries
	next.list().Content = nil
	for _, r := range entries {
		next.list().Content = append(next.list().Content, r.node)
	}
	data, err := encode(next.root)
	if err != nil {
		return nil, err
	}
	result, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("check the composed configuration: %w", err)
	}
	if !result.Describe().SameContent(want) {
		return nil, fmt.Errorf("the composed configuration does not say what it should: %w", ErrRefused)
	}
	return result, nil
}

// entriesFor finds for each rule the entry that it comes from, by its first resource that is listed in one which no rule
// before it has taken. The others get an entry of their own.
func (d *Document) entriesFor(rules []Rule) []rule {
	taken := map[int]bool{}
	entries := make([]rule, len(rules))
	for i, want := range rules {
		at := slices.IndexFunc(d.rules, func(r rule) bool {
			return slices.ContainsFunc(want.Resources, func(name string) bool { return slices.Contains(r.resources, name) })
		})
		if at < 0 || taken[at] {
			entries[i] = newRule([]transformer{{key: Key{Provider: Identity}, node: identityNode()}})
			continue
		}
		taken[at] = true
		entries[i] = d.rules[at]
	}
	return entries
}

// materialFor gathers the material of all keys, before anything is changed.
func (d *Document) materialFor(rules []Rule, entries []rule, secret func(Key) (keys.Secret, bool)) (map[Key]keys.Secret, error) {
	material := map[Key]keys.Secret{}
	for i, r := range rules {
		for _, k := range r.Keys {
			if k.Provider == Identity || slices.Contains(entries[i].keyList(), k) {
				continue
			}
			found, ok := d.Secret(k)
			if !ok {
				found, ok = secret(k)
			}
			if !ok || !k.Provider.Local() || found.Fingerprint(string(k.Provider), k.Name) != k.Fingerprint {
				return nil, fmt.Errorf("key %s, which the configuration is to have, is not here: %w", k, ErrRefused)
			}
			material[k] = found
		}
	}
	return material, nil
}
