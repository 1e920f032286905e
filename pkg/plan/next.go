// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// Kind is the kind of a step.
type Kind string

// The steps, in the order in which a rotation meets them.
const (
	// Await waits until every instance has proven the configuration of its own node.
	Await Kind = "await"
	// Push puts the configuration that follows from a change onto nodes.
	Push Kind = "push"
	// Settle waits for writes in flight and records the baselines.
	Settle Kind = "settle"
	// Migrate rewrites what is not newer than the baselines.
	Migrate Kind = "migrate"
	// Close finishes the record of the rotation.
	Close Kind = "close"
	// Done means that the goal is reached.
	Done Kind = "done"
)

// Step is one thing to do. Everything is observed again after it.
type Step struct {
	Kind Kind
	// Change, for Push: what the source's configuration goes through.
	Change encconfig.Change
	// Source, for Push: the node whose configuration the change starts from.
	Source string
	// Targets, for Push: the nodes that get the result.
	Targets []string
	// Result, for Push: what the new configuration must say, but for a new key's fingerprint and, unless the change
	// is KeepAll, the digest.
	Result encconfig.Description
}

// ErrRefused is matched by every refusal.
var ErrRefused = errors.New("refused")

// Refusal is the answer where rule 1, 3 or 7 forbids every step. Nothing was changed.
type Refusal struct {
	Reason string
	// Hint is what would resolve it.
	Hint string
}

// Error implements error.
func (r *Refusal) Error() string { return r.Reason }

// Is makes every refusal match ErrRefused.
func (r *Refusal) Is(target error) bool { return target == ErrRefused }

func refuse(hint, format string, args ...any) error {
	return &Refusal{Reason: fmt.Sprintf(format, args...), Hint: hint}
}

// Next gives the one step that comes next; the rules are those of the package's comment.
func Next(o Observed, g Goal) (Step, error) {
	if err := known(o); err != nil { // rule 1
		return Step{}, err
	}
	if g.Abort {
		return back(o, g) // rules 3 and 7
	}
	if !o.loaded() { // rule 2
		return Step{Kind: Await}, nil
	}
	agreed := o.Agreed()
	if agreed == nil {
		return finishPush(o, g) // rule 3
	}
	if !agreed.Writes(g.Target) || len(agreed.WriteKeys()) > 1 {
		return towardsWriteKey(o, g, *agreed) // rule 4
	}
	switch {
	case !o.Progress.Settled: // rule 5
		return Step{Kind: Settle}, nil
	case !o.Progress.Migrated:
		return Step{Kind: Migrate}, nil
	}
	if old := Prunable(*agreed, o.Unneeded, g.Keep); len(old) > 0 { // rule 6
		return push(*agreed, encconfig.Change{Kind: encconfig.Remove, Keys: old}, o.Nodes[0].Name, o.names())
	}
	if !o.Progress.Closed {
		return Step{Kind: Close}, nil
	}
	return Step{Kind: Done}, nil
}

// known is rule 1.
func known(o Observed) error {
	if len(o.Nodes) == 0 {
		return refuse("", "no control-plane node was found")
	}
	for _, n := range o.Nodes {
		if n.Config == nil {
			return refuse("put the file of a healthy control-plane node there; its kube-apiserver needs it at the next start",
				"the encryption configuration of node %s is not usable: %s", n.Name, n.Problem)
		}
		if n.Config.Uses(encconfig.KMS) {
			return refuse("rotate the key encryption key in the KMS itself",
				"the encryption configuration of node %s uses a KMS provider: rotation of KMS keys is not supported yet", n.Name)
		}
		if len(n.Config.EncryptingRules()) == 0 {
			return refuse("it has to be turned on first; kubectl encryption enable will do it, which this version does not have yet",
				"the encryption configuration of node %s encrypts no resource: identity is the first provider everywhere", n.Name)
		}
	}
	return nil
}

// towardsWriteKey is rule 4: all nodes and instances have the same configuration, and the target does not write yet.
func towardsWriteKey(o Observed, g Goal, agreed encconfig.Description) (Step, error) {
	change := encconfig.Change{Kind: encconfig.Promote, Keys: []encconfig.Key{g.Target}}
	if !agreed.Reads(g.Target) {
		change.Kind = encconfig.AddReadKey
		if len(o.Nodes) == 1 {
			change.Kind = encconfig.AddWriteKey
		}
	}
	return push(agreed, change, o.Nodes[0].Name, o.names())
}

// finishPush is rule 3 on the way forward: the nodes that are one change behind get what the others have. Which those
// are is told by content: what an interrupted way back has taken out of some is given to them again.
func finishPush(o Observed, g Goal) (Step, error) {
	a, b, err := twoGroups(o)
	if err != nil {
		return Step{}, err
	}
	switch {
	case !installed(a, b) && !installed(b, a):
		return Step{}, differ(o, "and no node's history shows an installation that leads from one to the other")
	case follows(*a[0].Config, *b[0].Config, g.Target):
		return handOn(b[0], a)
	case follows(*b[0].Config, *a[0].Config, g.Target):
		return handOn(a[0], b)
	}
	return Step{}, differ(o, "no single step of a rotation leads from one to the other")
}

// handOn gives the configuration of one node to others as it is.
func handOn(from Node, to []Node) (Step, error) {
	return push(*from.Config, encconfig.Change{Kind: encconfig.KeepAll}, from.Name, names(to))
}

// installed tells whether each of the newer nodes got its configuration by an installation of ours that replaced the
// older one: by its own history, which a hand edit does not write.
func installed(older, newer []Node) bool {
	return !slices.ContainsFunc(newer, func(n Node) bool {
		from := slices.IndexFunc(n.History, func(d encconfig.Description) bool { return d.Digest == older[0].Config.Digest })
		return from < 0 || !slices.ContainsFunc(n.History[from+1:], func(d encconfig.Description) bool {
			return d.Digest == n.Config.Digest
		})
	})
}

// twoGroups splits the nodes by configuration, of which there must be two.
func twoGroups(o Observed) (a, b []Node, err error) {
	for _, n := range o.Nodes {
		switch {
		case n.Config.Digest == o.Nodes[0].Config.Digest:
			a = append(a, n)
		case len(b) == 0 || n.Config.Digest == b[0].Config.Digest:
			b = append(b, n)
		default:
			return nil, nil, differ(o, "there are more than two different ones")
		}
	}
	return a, b, nil
}

func differ(o Observed, why string) error {
	return refuse("compare the files on the nodes and give all nodes the one that holds every key; then run this command again",
		"the encryption configurations of the control-plane nodes differ (%s): %s", why, digests(o))
}

// digests lists which node has which configuration.
func digests(o Observed) string {
	parts := make([]string, len(o.Nodes))
	for i, n := range o.Nodes {
		parts[i] = n.Name + " " + ShortDigest(n.Config.Digest)
	}
	return strings.Join(parts, ", ")
}

// ShortDigest is a digest for people: the algorithm and the first 12 digits.
func ShortDigest(digest string) string { return digest[:min(len(digest), len("sha256:")+12)] }

// follows tells whether one change of a rotation to target leads from a to b. A promotion can be read both ways, and
// so can a key that is missing behind the write key: the target decides, and what was added is not taken back.
func follows(a, b encconfig.Description, target encconfig.Key) bool {
	if adds(a, b) || reaches(a, b, encconfig.Change{Kind: encconfig.Promote, Keys: []encconfig.Key{target}}) {
		return true
	}
	var gone []encconfig.Key
	for _, k := range a.Keys() {
		if !b.Has(k) {
			gone = append(gone, k)
		}
	}
	return len(gone) > 0 && !adds(b, a) && reaches(a, b, encconfig.Change{Kind: encconfig.Remove, Keys: gone})
}

// adds tells whether b is a with one further read key.
func adds(a, b encconfig.Description) bool {
	return slices.ContainsFunc(b.Keys(), func(k encconfig.Key) bool {
		return reaches(a, b, encconfig.Change{Kind: encconfig.AddReadKey, Keys: []encconfig.Key{k}})
	})
}

func reaches(a, b encconfig.Description, c encconfig.Change) bool {
	result, err := c.Apply(a)
	return err == nil && !a.SameContent(b) && result.SameContent(b)
}

// back is rule 7, and rule 3 on the way back. It need not wait for proofs before it takes the key out: nothing was
// written with it.
func back(o Observed, g Goal) (Step, error) {
	with, without := o.split(g.Target)
	if len(with) == 0 {
		return backDone(o, g)
	}
	if o.everWritten(g.Target) {
		return Step{}, refuse("go on with: kubectl encryption rotate --resume",
			"key %s has been the write key, or may have been: something may be stored with it, so it can't be taken back", g.Target)
	}
	if !o.isOurs(g.Target) {
		return Step{}, refuse("go on with: kubectl encryption rotate --resume",
			"key %s was not added by this tool on every node: nothing proves that it was never used", g.Target)
	}
	if !same(with) || !same(without) {
		return Step{}, differ(o, "and not only by the key "+g.Target.String())
	}
	if len(without) == 0 {
		change := encconfig.Change{Kind: encconfig.Remove, Keys: []encconfig.Key{g.Target}}
		return push(*with[0].Config, change, with[0].Name, names(with))
	}
	if !installed(without, with) && !installed(with, without) || !adds(*without[0].Config, *with[0].Config) {
		return Step{}, differ(o, "and not only by the key "+g.Target.String())
	}
	return handOn(without[0], with)
}

// backDone is the end of the way back: no node has the key any more.
func backDone(o Observed, g Goal) (Step, error) {
	switch {
	case o.Agreed() == nil:
		return Step{}, differ(o, "and none has the key "+g.Target.String())
	case !o.loaded():
		return Step{Kind: Await}, nil
	case !o.Progress.Closed:
		return Step{Kind: Close}, nil
	}
	return Step{Kind: Done}, nil
}

// Prunable are the keys that rule 6 lets go: in no encrypting rule among the first keep keys, and needed by nothing.
func Prunable(d encconfig.Description, unneeded []encconfig.Key, keep int) []encconfig.Key {
	keep = max(keep, MinKeep)
	var kept []encconfig.Key
	for _, r := range d.EncryptingRules() {
		named := slices.DeleteFunc(slices.Clone(r.Keys), func(k encconfig.Key) bool { return k.Name == "" })
		kept = append(kept, named[:min(keep, len(named))]...)
	}
	var old []encconfig.Key
	for _, r := range d.EncryptingRules() {
		for _, k := range r.Keys {
			if k.Provider.Local() && !slices.ContainsFunc(kept, k.Is) &&
				slices.ContainsFunc(unneeded, k.Is) && !slices.ContainsFunc(old, k.Is) {
				old = append(old, k)
			}
		}
	}
	return old
}

func push(from encconfig.Description, c encconfig.Change, source string, targets []string) (Step, error) {
	result, err := c.Apply(from)
	if err != nil {
		return Step{}, refuse("", "%v", err)
	}
	if c.Kind == encconfig.KeepAll {
		result.Digest = from.Digest
	}
	return Step{Kind: Push, Change: c, Source: source, Targets: targets, Result: result}, nil
}

// loaded tells whether every instance has proven the configuration of its own node.
func (o Observed) loaded() bool {
	return !slices.ContainsFunc(o.Nodes, func(n Node) bool { return n.Loaded != n.Config.Digest })
}

// split sorts the nodes by whether they have a key.
func (o Observed) split(k encconfig.Key) (with, without []Node) {
	for _, n := range o.Nodes {
		if n.Config.Has(k) {
			with = append(with, n)
		} else {
			without = append(without, n)
		}
	}
	return with, without
}

// same tells whether all nodes have the same configuration.
func same(nodes []Node) bool {
	return !slices.ContainsFunc(nodes, func(n Node) bool { return n.Config.Digest != nodes[0].Config.Digest })
}

func (o Observed) names() []string { return names(o.Nodes) }

func names(nodes []Node) []string {
	list := make([]string, len(nodes))
	for i, n := range nodes {
		list[i] = n.Name
	}
	return list
}
