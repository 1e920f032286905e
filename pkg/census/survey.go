// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package census

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// Need is a key that stored values can't be read without.
type Need struct {
	// Key without its fingerprint, for KMS the plugin.
	Key encconfig.Key `json:"key"`
	// KeyID is what a plugin of KMS v2 calls its key.
	KeyID string `json:"keyID,omitempty"`
	// Others is that this stands for keys that were too many to keep them apart.
	Others bool `json:"others,omitempty"`
	// Objects is the number of values, Resources where they are.
	Objects   int64    `json:"objects"`
	Resources []string `json:"resources"`
}

// Needs are the keys that the values of a census can't be read without, in the order of their names. A value that nobody could
// read with any key is not asked.
func Needs(c Census) []Need {
	type key struct {
		encconfig.Key
		id     string
		others bool
	}
	needs := map[key]*Need{}
	for _, t := range c.Tallies {
		for _, g := range t.Groups {
			if g.State == Undecodable || g.State == Unknown || g.Provider == encconfig.Identity {
				continue
			}
			k := key{g.NamedKey(), g.KeyID, g.Others}
			if needs[k] == nil {
				needs[k] = &Need{Key: k.Key, KeyID: k.id, Others: k.others}
			}
			needs[k].Objects += g.Objects
			if !slices.Contains(needs[k].Resources, t.Resource) {
				needs[k].Resources = append(needs[k].Resources, t.Resource)
			}
		}
	}
	var all []Need
	for _, n := range needs {
		all = append(all, *n)
	}
	slices.SortFunc(all, func(a, b Need) int {
		return cmp.Or(boolean(a.Others)-boolean(b.Others), cmp.Compare(a.Key.String(), b.Key.String()), cmp.Compare(a.KeyID, b.KeyID))
	})
	return all
}

// Survey says which keys the values of a census need that were counted without a configuration. Only what no configuration could
// read is Found.
func Survey(c Census) Verdict {
	v := sum(c, findings(c, encconfig.Description{}, nil))
	switch {
	case len(v.Findings) > 0:
		v.Outcome = Found
	case len(c.Tallies)+len(c.Whole) == 0:
		v.Outcome = Unproven
	default:
		v.Outcome = Surveyed
	}
	v.UnusedUnknown = "there is no configuration to look for them in"
	v.Sentence = need(c, v)
	return v
}

// need is the sentence of a survey.
func need(c Census, v Verdict) string {
	objects := map[string]int64{}
	var needed int64
	for _, n := range Needs(c) {
		name := n.Key.String()
		if n.Others {
			name = "keys that are too many to name"
		}
		objects[name] += n.Objects
		needed += n.Objects
	}
	var keys []string
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		keys = append(keys, fmt.Sprintf("%s (%s)", name, Number(objects[name])))
	}
	var text string
	switch plain := v.Unjudged - needed; {
	case len(c.Tallies)+len(c.Whole) == 0:
		return "nothing was counted"
	case v.Objects == 0:
		return "no object is stored"
	case v.Unjudged == 0:
		text = fmt.Sprintf("none of the %s stored objects can be read", Number(v.Objects))
	case len(keys) == 0:
		text = fmt.Sprintf("no key is needed: %s objects are stored in plaintext", Number(plain))
	default:
		text = fmt.Sprintf("%s needed: %s; %s objects are stored in plaintext", some(len(keys), "key is", "keys are"), listed(keys), Number(plain))
	}
	if len(v.Findings) > 0 {
		text += fmt.Sprintf("; %s can't be read with any key: %s", Number(v.wrong()), strings.Join(kinds(v.Findings, false), ", "))
	}
	return text
}

// some is a number with its noun.
func some(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
