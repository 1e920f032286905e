// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig_test

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// sample is a random configuration that Parse must take.
type sample struct {
	text string
	// lasting are comments that every change keeps: those of the document and of its rules.
	lasting []string
	// ofKeys are the comments at the keys of each rule, which last as long as the key does there.
	ofKeys []map[encconfig.Key][]string
	keys   []encconfig.Key
	// resources of each rule.
	resources [][]string
}

// sampler writes a sample. Style is "block", "flow" or "json"; only block style has room for comments.
type sampler struct {
	t     *rapid.T
	style string
	notes int
	sample
}

func drawSample(t *rapid.T) sample {
	s := &sampler{t: t, style: rapid.SampledFrom([]string{"block", "block", "flow", "json"}).Draw(t, "style")}
	s.write()
	return s.sample
}

func (s *sampler) write() {
	resources := rapid.Permutation([]string{"secrets", "configmaps", "deployments.apps", "*.awesome.example"}).Draw(s.t, "resources")
	count := rapid.IntRange(1, 3).Draw(s.t, "rules")
	var rules []string
	for i := range count {
		list := resources[i : i+1]
		if i == count-1 {
			list = resources[i:rapid.IntRange(i+1, len(resources)).Draw(s.t, "to")]
		}
		rules = append(rules, s.rule(list))
	}
	switch s.style {
	case "block":
		s.text = s.lastingNote("") + header + "resources:\n" + strings.Join(rules, "") + s.lastingNote("")
	case "flow":
		s.text = header + "resources: [" + strings.Join(rules, ", ") + "]\n"
	default:
		s.text = `{"kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1", "resources": [` + strings.Join(rules, ", ") + "]}"
	}
}

func (s *sampler) rule(resources []string) string {
	chain := rapid.SliceOfNDistinct(rapid.SampledFrom(pool()), 1, 6, func(k encconfig.Key) encconfig.Key { return k }).Draw(s.t, "chain")
	for i, k := range chain {
		if k.Provider == encconfig.KMS { // kube-apiserver wants their names to be unique
			chain[i].Name += fmt.Sprint(len(s.ofKeys))
		}
	}
	s.ofKeys = append(s.ofKeys, map[encconfig.Key][]string{})
	s.resources = append(s.resources, resources)
	var providers []string
	for len(chain) > 0 {
		n := 1
		for chain[0].Provider.Local() && n < len(chain) && chain[n].Provider == chain[0].Provider && rapid.Bool().Draw(s.t, "share an entry") {
			n++
		}
		providers = append(providers, s.provider(chain[:n]))
		s.keys = append(s.keys, chain[:n]...)
		chain = chain[n:]
	}
	quoted := `["` + strings.Join(resources, `", "`) + `"]`
	if s.style != "block" {
		return fmt.Sprintf(`{"resources": %s, "providers": [%s]}`, quoted, strings.Join(providers, ", "))
	}
	return s.lastingNote("  ") + "  - resources: " + quoted + "\n    providers:\n" + strings.Join(providers, "")
}

func (s *sampler) provider(chain []encconfig.Key) string {
	if s.style != "block" {
		return s.flowProvider(chain)
	}
	switch p := chain[0].Provider; p {
	case encconfig.Identity:
		return "      - identity: {}\n"
	case encconfig.KMS:
		return fmt.Sprintf("      - kms:\n          apiVersion: v2\n          name: %s\n          endpoint: unix:///run/%[1]s.sock\n", chain[0].Name)
	default:
		text := s.keyNote(chain[0], "      ") + fmt.Sprintf("      - %s:\n          keys:\n", p)
		for _, k := range chain {
			text += s.keyNote(k, "            ") + fmt.Sprintf("            - name: %q%s\n              secret: %s%s\n",
				k.Name, s.lineNote(k), secretFor(k), s.lineNote(k))
		}
		return text
	}
}

func (s *sampler) flowProvider(chain []encconfig.Key) string {
	switch p := chain[0].Provider; p {
	case encconfig.Identity:
		return `{"identity": {}}`
	case encconfig.KMS:
		return fmt.Sprintf(`{"kms": {"apiVersion": "v2", "name": %q, "endpoint": "unix:///run/%s.sock"}}`, chain[0].Name, chain[0].Name)
	default:
		var list []string
		for _, k := range chain {
			list = append(list, fmt.Sprintf(`{"name": %q, "secret": %q}`, k.Name, secretFor(k)))
		}
		return fmt.Sprintf(`{%q: {"keys": [%s]}}`, p, strings.Join(list, ", "))
	}
}

func (s *sampler) note() string {
	if s.style != "block" || !rapid.Bool().Draw(s.t, "comment") {
		return ""
	}
	s.notes++
	return fmt.Sprintf("# note %d of the file.", s.notes)
}

func (s *sampler) lastingNote(indent string) string {
	n := s.note()
	if n == "" {
		return ""
	}
	s.lasting = append(s.lasting, n)
	return indent + n + "\n"
}

func (s *sampler) keyNote(k encconfig.Key, indent string) string {
	n := s.note()
	if n == "" {
		return ""
	}
	notes := s.ofKeys[len(s.ofKeys)-1]
	notes[k] = append(notes[k], n)
	return indent + n + "\n"
}

func (s *sampler) lineNote(k encconfig.Key) string {
	return strings.TrimSuffix(s.keyNote(k, " "), "\n")
}

// pool are the keys that samples are made of. A name stands for one key wherever it is used.
func pool() []encconfig.Key {
	list := []encconfig.Key{key(encconfig.Identity, ""), key(encconfig.KMS, "vault"), key(encconfig.KMS, "hsm")}
	for _, p := range encconfig.LocalProviders() {
		for _, name := range []string{"1", "2", "key-3"} {
			list = append(list, key(p, name))
		}
	}
	return list
}

// secretFor is the key material behind a key of the pool.
func secretFor(k encconfig.Key) string {
	at := slices.Index(pool(), k)
	return encoded(byte('a'+at), 32)
}

// drawChange is any change: to keys that are there, to others, and nonsense.
func drawChange(t *rapid.T, present []encconfig.Key) encconfig.Change {
	known := append(slices.Clone(present), key(encconfig.AESGCM, "9"), key(encconfig.Secretbox, "9"), key(encconfig.AESCBC, "-"))
	return encconfig.Change{
		Kind: rapid.SampledFrom([]encconfig.ChangeKind{
			encconfig.KeepAll, encconfig.AddReadKey, encconfig.AddWriteKey, encconfig.Promote, encconfig.Remove, "unknown",
		}).Draw(t, "kind"),
		Keys:      rapid.SliceOfN(rapid.SampledFrom(known), 0, 3).Draw(t, "keys"),
		Resources: rapid.SliceOfN(rapid.SampledFrom(scopes()), 0, 3).Draw(t, "resources of the change"),
	}
}

// scopes are resources that a change may name: some that samples have rules for, some that a wildcard covers or is
// covered by, and nonsense.
func scopes() []string {
	return []string{
		"secrets", "configmaps", "deployments.apps", "*.awesome.example", "widgets.awesome.example", "leases.coordination.k8s.io",
		"*.apps", "*.", "*.*", "Nonsense",
	}
}
