// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// Assess says what a result comes to. The cluster is that which was asked, the zero value for a file.
func Assess(r Result, cluster v1alpha1.Cluster) *v1alpha1.VerificationReport {
	v, about := verdict(&r)
	report := &v1alpha1.VerificationReport{
		TypeMeta: v1alpha1.New("VerificationReport"), ObjectMeta: metav1.ObjectMeta{Name: "verification"},
		Source: v1alpha1.VerificationSource{
			Node: r.Source.Node, Endpoint: r.Source.Endpoint, File: r.Source.File, Hash: hashes()[r.Source.Hash],
			Revision: r.Source.Revision, Time: metav1.NewTime(r.Source.Time),
		},
		Verdict: v.Sentence, Outcome: outcomes()[v.Outcome], Digest: r.Config.Digest,
		Objects: v.Objects, Findings: []v1alpha1.VerificationFinding{}, UnusedKeys: []v1alpha1.KeyRef{}, UnusedKeysUnknown: v.UnusedUnknown,
	}
	if cluster.Server != "" {
		report.Cluster = &cluster
	}
	if !r.surveyed() {
		report.Current = &v.Current
	}
	for _, f := range v.Findings {
		report.Findings = append(report.Findings, finding(f))
	}
	for _, k := range v.Unused {
		report.UnusedKeys = append(report.UnusedKeys, ref(k))
	}
	report.Resources = resources(r)
	report.Keys = needed(r)
	report.Notes = slices.Concat(r.Doubts, r.Notes, aside(r, about), strays(r.Census))
	report.Hints = hints(r, v)
	report.Residue = assessResidue(r)
	return report
}

// verdict judges all that was counted, by a sentence about the part of it that it tells as well (rules 5 and 6).
func verdict(r *Result) (v census.Verdict, about census.Census) {
	if r.surveyed() {
		return census.Survey(r.Census), r.Census
	}
	about = matters(*r)
	v = census.Judge(r.Census, r.Config, r.Held)
	switch {
	case r.bare():
		sentence := v.Sentence
		if v.Objects > 0 {
			sentence += "; no kube-apiserver has an encryption configuration"
		}
		r.Census = nothingHoped(r.Census)
		v = census.Judge(r.Census, r.Config, r.Held)
		v.Sentence = sentence
	case len(about.Tallies) < len(r.Census.Tallies):
		v.Sentence = census.Judge(about, r.Config, r.Held).Sentence
	}
	if len(r.Doubts) > 0 {
		v = v.Doubtful(r.Doubts[0])
	}
	return v, about
}

// nothingHoped has plaintext be Plaintext where it is expected (rule 6).
func nothingHoped(c census.Census) census.Census {
	c.Tallies = slices.Clone(c.Tallies)
	for i := range c.Tallies {
		groups := slices.Clone(c.Tallies[i].Groups)
		for j, g := range groups {
			if g.State == census.Current && g.Provider == encconfig.Identity {
				groups[j].State = census.Plaintext
			}
		}
		c.Tallies[i].Groups = groups
	}
	return c
}

// matters leaves out what rule 5 leaves out.
func matters(r Result) census.Census {
	if !r.Everything {
		return r.Census
	}
	about := r.Census
	about.Tallies = slices.DeleteFunc(slices.Clone(about.Tallies), func(t census.Tally) bool {
		return r.Config.RuleFor(t.Resource) == nil && !slices.ContainsFunc(t.Groups, func(g census.Group) bool { return g.State != census.Current })
	})
	return about
}

// aside tells of what was left out.
func aside(r Result, about census.Census) []string {
	var all, told int64
	for _, t := range r.Census.Tallies {
		all += t.Objects
	}
	for _, t := range about.Tallies {
		told += t.Objects
	}
	if all == told || r.bare() {
		return nil
	}
	return []string{fmt.Sprintf("%s of %s in plaintext, as no rule of the configuration is about them",
		plural(all-told, "object", "objects"), plural(int64(len(r.Census.Tallies)-len(about.Tallies)), "other resource is", "other resources are"))}
}

// strays tells of keys that no object can have.
func strays(c census.Census) []string {
	var notes []string
	for _, t := range c.Tallies {
		if t.Strays > 0 && t.Resource != Unfamiliar {
			notes = append(notes, fmt.Sprintf("%s: %s under keys that no object of it can have; "+
				"kube-apiserver reads them all the same when it lists", t.Resource, plural(t.Strays, "value is", "values are")))
		}
	}
	return notes
}

// needed are the keys that the values can't be read without.
func needed(r Result) []v1alpha1.NeededKey {
	keys := []v1alpha1.NeededKey{}
	for _, n := range census.Needs(r.Census) {
		k := v1alpha1.NeededKey{KeyRef: ref(n.Key), KeyID: n.KeyID, Objects: n.Objects, Resources: n.Resources}
		asked := r.Held != nil || r.Source.File != "" || r.Config.Has(n.Key)
		if asked && !r.surveyed() && !n.Others {
			k.Held = new(r.Config.Has(n.Key) || slices.ContainsFunc(r.Held, n.Key.Is))
		}
		keys = append(keys, k)
	}
	return keys
}

// resources are the tallies.
func resources(r Result) []v1alpha1.ResourceVerification {
	whole := encconfig.Rule{Resources: r.Census.Whole}
	list := []v1alpha1.ResourceVerification{}
	for _, t := range r.Census.Tallies {
		one := v1alpha1.ResourceVerification{
			Name: t.Resource, Complete: whole.Covers(t.Resource), Objects: t.Objects, Groups: []v1alpha1.StoredGroup{},
			Strays: t.Strays, StrayNames: t.StrayNames,
		}
		if t.WriteKey.Provider != "" {
			one.WriteKey = new(ref(t.WriteKey))
		}
		for _, g := range t.Groups {
			one.Groups = append(one.Groups, v1alpha1.StoredGroup{
				State: states()[g.State], Provider: string(g.Provider), Key: g.Key, KeyID: g.KeyID, Others: g.Others,
				Objects: g.Objects, Share: census.Share(g.Objects, t.Objects), Names: g.Names,
			})
		}
		list = append(list, one)
	}
	return list
}

func finding(f census.Finding) v1alpha1.VerificationFinding {
	told := v1alpha1.VerificationFinding{State: states()[f.State], Held: f.Held, Unreadable: f.Unreadable, Objects: f.Objects}
	if f.Key.Provider != "" {
		told.Key = new(ref(f.Key))
	}
	return told
}

func ref(k encconfig.Key) v1alpha1.KeyRef {
	return v1alpha1.KeyRef{Provider: string(k.Provider), Name: k.Name, Fingerprint: k.Fingerprint}
}

func hashes() map[string]string {
	return map[string]string{"fits": "Fits", "altered": "Altered", "absent": "Absent"}
}

func outcomes() map[census.Outcome]string {
	return map[census.Outcome]string{
		census.Clean: v1alpha1.Clean, census.Found: v1alpha1.Found, census.Unproven: v1alpha1.Unproven, census.Surveyed: v1alpha1.Surveyed,
	}
}

func states() map[census.State]string {
	return map[census.State]string{
		census.Current: v1alpha1.StoredCurrent, census.Stale: v1alpha1.StoredStale, census.Plaintext: v1alpha1.StoredPlaintext,
		census.Missing: v1alpha1.StoredMissing, census.Undecryptable: v1alpha1.StoredUndecryptable,
		census.Undecodable: v1alpha1.StoredUndecodable, census.Unknown: v1alpha1.StoredUnknown, census.Unjudged: v1alpha1.StoredUnjudged,
	}
}

// plural is a number with what it counts.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return census.Number(n) + " " + many
}
