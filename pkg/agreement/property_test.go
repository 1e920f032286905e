// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agreement_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agreement"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// world is a control plane in which nodes are as anybody may have left them.
type world struct {
	t     *rapid.T
	nodes []*machine
	// values are the stored ones, by resource and key.
	values []value
}

type value struct {
	resource string
	key      encconfig.Key
}

// machine is a node and its kube-apiserver.
type machine struct {
	agreement.Node

	// loaded is what its kube-apiserver has loaded now, first what it had in the beginning.
	loaded, first encconfig.Description
	// ours: the file was put there by a step. Only then it is loaded here: what a file that was there before does when it
	// is loaded is nobody's fault but its author's.
	ours bool
	// seen are the values that its kube-apiserver could read once.
	seen map[value]bool
}

var resources = []string{"secrets", "configmaps", "widgets.example.com"}

// TestNothingBecomesUnreadable: from any state of the nodes, whatever is interrupted wherever, every value that a
// kube-apiserver could read once, it can read ever after; and the way ends with one file.
func TestNothingBecomesUnreadable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		keys := slices.DeleteFunc(w.inUse(), w.takenBack)
		for range 30 {
			step, err := agreement.Next(w.observe())
			if errors.Is(err, agreement.ErrRefused) && w.older() {
				return // it may have loaded what can't be brought together
			}
			require.NoError(t, err, "everything is known here")
			if step.Kind == agreement.Done {
				w.mustAgree(keys)
				return
			}
			w.carryOut(step)
		}
		require.Fail(t, "no end")
	})
}

func drawWorld(t *rapid.T) *world {
	w := &world{t: t}
	pool := rapid.SliceOfN(rapid.Custom(drawConfig), 1, 4).Draw(t, "configurations")
	for i := range rapid.IntRange(1, 3).Draw(t, "nodes") {
		m := &machine{seen: map[value]bool{}}
		m.Name = fmt.Sprintf("n%d", i+1)
		m.History = rapid.SliceOfN(rapid.SampledFrom(pool), 1, 3).Draw(t, "history of "+m.Name)
		m.loaded = rapid.SampledFrom(m.History).Draw(t, "loaded by "+m.Name)
		m.first = m.loaded
		m.TellsLoaded, m.Loaded = true, m.loaded.Digest
		switch rapid.SampledFrom([]string{"as loaded", "other", "missing", "garbage"}).Draw(t, "file of "+m.Name) {
		case "as loaded":
			m.Config, m.Digest = &m.loaded, m.loaded.Digest
		case "other":
			d := rapid.SampledFrom(pool).Draw(t, "other file of "+m.Name)
			m.Config, m.Digest = &d, d.Digest
		case "missing":
			m.Missing, m.Problem = true, "it is not there"
		default:
			m.Digest, m.Problem = "sha256:garbage", "it is garbage"
		}
		m.Proven = m.Config != nil && m.Digest == m.loaded.Digest
		if rapid.IntRange(0, 3).Draw(t, "version of "+m.Name) == 0 { // before 1.34 it does not tell what it has loaded
			m.TellsLoaded, m.Loaded = false, ""
			m.Rejected = m.Digest == "sha256:garbage"
		}
		w.nodes = append(w.nodes, m)
	}
	w.write()
	for _, d := range pool {
		for _, r := range resources {
			for _, k := range chain(d, r) {
				if w.takenBack(k) {
					continue
				}
				w.store(value{r, k})
			}
		}
	}
	return w
}

// older tells whether any kube-apiserver does not tell what it has loaded.
func (w *world) older() bool {
	return slices.ContainsFunc(w.nodes, func(m *machine) bool { return !m.TellsLoaded })
}

// takenBack tells of a key that never wrote that it is none to keep: where it is not known what is loaded, no node need have it.
func (w *world) takenBack(k encconfig.Key) bool {
	return w.older() && k != identity() && !slices.ContainsFunc(w.nodes, func(m *machine) bool {
		return m.Config != nil && m.Config.Has(k) || slices.ContainsFunc(m.History, func(d encconfig.Description) bool { return d.Writes(k) })
	})
}

func drawConfig(t *rapid.T) encconfig.Description {
	patterns := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"secrets", "configmaps", "*.example.com", "widgets.example.com", "*.*"}), 1, 3, rapid.ID).Draw(t, "patterns")
	slices.SortFunc(patterns, func(a, b string) int { return width(a) - width(b) })
	d := encconfig.Description{}
	for _, p := range patterns {
		names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"1", "2", "3", "4", "5"}), 0, 3, rapid.ID).Draw(t, "keys")
		var keys []encconfig.Key
		for _, n := range names {
			keys = append(keys, gcm(n))
		}
		if at := rapid.IntRange(-1, len(keys)).Draw(t, "identity"); at >= 0 || len(keys) == 0 {
			keys = slices.Insert(keys, max(at, 0), identity())
		}
		d.Rules = append(d.Rules, encconfig.Rule{Resources: []string{p}, Keys: keys})
	}
	return digested(d, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "style"))
}

func width(p string) int {
	return len(strings.Split(p, "*"))*2 - 2 - map[bool]int{true: 1}[strings.HasPrefix(p, "*.e")]
}

// digested gives a description a digest: files that say the same may have other bytes, by their style.
func digested(d encconfig.Description, style string) encconfig.Description {
	d.Digest = fmt.Sprintf("sha256:%x#%s", sha256.Sum256(fmt.Append(nil, d.Rules)), style)
	return d
}

func chain(d encconfig.Description, resource string) []encconfig.Key {
	if r := d.RuleFor(resource); r != nil {
		return r.Keys
	}
	return []encconfig.Key{identity()}
}

// write lets each kube-apiserver store a value of each resource. With another key than in the beginning it may do so
// only if all can read it.
func (w *world) write() {
	for _, m := range w.nodes {
		for _, r := range resources {
			v := value{r, chain(m.loaded, r)[0]}
			for _, other := range w.nodes {
				require.True(w.t, v.key == chain(m.first, r)[0] || slices.Contains(chain(other.loaded, r), v.key),
					"%s writes %v, which %s can't read", m.Name, v, other.Name)
			}
			w.store(v)
		}
	}
}

func (w *world) store(v value) {
	if !slices.Contains(w.values, v) {
		w.values = append(w.values, v)
	}
	w.check()
}

// check is the promise.
func (w *world) check() {
	for _, m := range w.nodes {
		for _, v := range w.values {
			reads := slices.Contains(chain(m.loaded, v.resource), v.key)
			require.False(w.t, m.seen[v] && !reads, "%s can't read %v any more", m.Name, v)
			m.seen[v] = m.seen[v] || reads
		}
	}
}

func (w *world) observe() agreement.Observed {
	o := agreement.Observed{}
	for _, m := range w.nodes {
		o.Nodes = append(o.Nodes, m.Node)
	}
	return o
}

// carryOut does a step, up to where it is interrupted. Any kube-apiserver may load a file of ours at any time.
func (w *world) carryOut(s agreement.Step) {
	if s.Kind == agreement.Await {
		for _, m := range w.nodes {
			require.NotNil(w.t, m.Config)
			w.load(m)
		}
		return
	}
	require.NotEmpty(w.t, s.Targets)
	base := w.base(s)
	for _, target := range rapid.Permutation(s.Targets).Draw(w.t, "order") {
		if rapid.IntRange(0, 4).Draw(w.t, "interrupted before "+target.Node) == 0 {
			return
		}
		m := w.machine(target.Node)
		require.Equal(w.t, m.Digest, target.From)
		made := digested(target.Want, base.Digest[len(base.Digest)-1:])
		if base.SameContent(target.Want) {
			made = base
		}
		if target.Want.Digest != "" {
			require.Equal(w.t, target.Want.Digest, made.Digest)
		}
		if m.Config != nil {
			m.History = append(slices.Clone(m.History), *m.Config)
		}
		m.History = append(slices.Clone(m.History), made)
		m.Config, m.Digest, m.Missing, m.Problem, m.ours = &made, made.Digest, false, "", true
		m.Proven = m.TellsLoaded && m.loaded.Digest == made.Digest
		for _, other := range w.nodes {
			if other.ours && rapid.Bool().Draw(w.t, other.Name+" loads") {
				w.load(other)
			}
		}
		w.write()
	}
}

// base is the configuration that a step begins with, and every key that it needs is where the step says.
func (w *world) base(s agreement.Step) encconfig.Description {
	m := w.machine(s.Base)
	known := slices.Clone(m.History)
	if m.Config != nil {
		known = append(known, *m.Config)
	}
	at := slices.IndexFunc(known, func(d encconfig.Description) bool { return d.Digest == s.BaseDigest })
	require.GreaterOrEqual(w.t, at, 0, "the base is on its node")
	have := func(m *machine, k encconfig.Key) bool {
		return m.Config != nil && slices.Contains(m.Config.Keys(), k) ||
			slices.ContainsFunc(m.History, func(d encconfig.Description) bool { return slices.Contains(d.Keys(), k) })
	}
	for _, t := range s.Targets {
		for _, k := range t.Want.Keys() {
			from := slices.IndexFunc(s.Keys, func(h agreement.Held) bool { return h.Key == k })
			require.True(w.t, have(m, k) || from >= 0 && have(w.machine(s.Keys[from].Node), k), "nobody hands out %s", k)
		}
	}
	return known[at]
}

func (w *world) machine(name string) *machine {
	return w.nodes[slices.IndexFunc(w.nodes, func(m *machine) bool { return m.Name == name })]
}

func (w *world) load(m *machine) {
	m.loaded, m.Proven = *m.Config, true
	if m.TellsLoaded {
		m.Loaded = m.Config.Digest
	}
	w.check()
}

// inUse are the keys that a node has in its file or its kube-apiserver has loaded.
func (w *world) inUse() []encconfig.Key {
	var keys []encconfig.Key
	for _, m := range w.nodes {
		keys = append(keys, m.loaded.Keys()...)
		if m.Config != nil {
			keys = append(keys, m.Config.Keys()...)
		}
	}
	return keys
}

// mustAgree holds the end against what was promised.
func (w *world) mustAgree(keys []encconfig.Key) {
	first := w.nodes[0]
	for _, m := range w.nodes {
		require.Equal(w.t, first.Digest, m.Digest)
		require.True(w.t, m.Proven)
	}
	for _, k := range keys {
		require.True(w.t, first.Config.Has(k), "%s is lost", k)
	}
	for _, v := range w.values {
		if first.seen[v] {
			require.Contains(w.t, chain(*first.Config, v.resource), v.key)
		}
	}
}
