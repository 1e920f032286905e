// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"fmt"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// Kind is the kind of a step.
type Kind string

// The steps, in the order in which a rotation meets them.
const (
	// AwaitEdit waits until the guard of a node has ended.
	AwaitEdit Kind = "await-edit"
	// Await waits until every instance has proven the configuration of its own node.
	Await Kind = "await"
	// Push puts the configuration that follows from a change onto nodes.
	Push Kind = "push"
	// EditManifest sets or removes the flags of the kube-apiserver of one node, which restarts it.
	EditManifest Kind = "edit-manifest"
	// KubeadmConfig makes kubeadm's own configuration say the same of the flags as the manifests.
	KubeadmConfig Kind = "kubeadm-config"
	// Settle waits for writes in flight and records the baselines.
	Settle Kind = "settle"
	// Migrate rewrites what is not newer than the baselines.
	Migrate Kind = "migrate"
	// Age waits until no revision is left that a migration has superseded.
	Age Kind = "age"
	// Verify counts in etcd under which keys values are stored.
	Verify Kind = "verify"
	// Close finishes the record.
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
	// Targets are the nodes that get the result of a Push, or the one whose manifest is edited or was.
	Targets []string
	// Flags, for EditManifest and KubeadmConfig: what is asked for, FlagsSet or FlagsUnset.
	Flags Flags
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
	if err := known(o, g); err != nil { // rules 1 and 10
		return Step{}, err
	}
	if n := o.first(func(n Node) bool { return n.Edited }); n != nil { // rule 8
		return Step{Kind: AwaitEdit, Targets: []string{n.Name}}, nil
	}
	if g.Abort {
		return back(o, g) // rules 3 and 7
	}
	if g.Flags == RemoveFlags { // rule 9: whoever reads no file is done
		if o = o.Readers(); len(o.Nodes) == 0 {
			return removed(o), nil
		}
	}
	if !o.loaded() { // rule 2
		return Step{Kind: Await}, nil
	}
	agreed := o.Agreed()
	if agreed == nil {
		return agree(o, g) // rule 3
	}
	if step, needed, err := stepBack(o, g, *agreed); needed || err != nil { // rule 8
		return step, err
	}
	if len(g.Drop) > 0 {
		return drop(o, g, *agreed) // rule 12
	}
	if n := o.first(func(n Node) bool { return n.Flags == FlagsWithoutReload }); n != nil && g.Flags == SetFlags {
		return edit(*n, FlagsSet), nil // rule 8
	}
	if !g.Writes(*agreed) {
		return towardsWriteKey(o, g, *agreed) // rules 4 and 8
	}
	if step, needed, err := set(o, g, *agreed); needed || err != nil { // rule 8
		return step, err
	}
	switch {
	case !o.Progress.Settled: // rule 5
		return Step{Kind: Settle}, nil
	case !o.Progress.Migrated:
		return Step{Kind: Migrate}, nil
	case o.Progress.Closed:
		return Step{Kind: Done}, nil
	case g.Flags == RemoveFlags && !o.Aged: // rule 9
		return Step{Kind: Age}, nil
	case o.Counted == nil: // rule 10
		return Step{Kind: Verify}, nil
	}
	if old := g.prunable(*agreed, o); len(old) > 0 && !o.LeftOut { // rules 6 and 13
		return push(*agreed, encconfig.Change{Kind: encconfig.Remove, Keys: old}, o.Nodes[0].Name, o.names())
	}
	if step, needed := remove(o, g); needed { // rule 9
		return step, nil
	}
	return Step{Kind: Close}, nil
}

// closing is the end: the record, and then nothing.
func closing(o Observed) Step {
	if !o.Progress.Closed {
		return Step{Kind: Close}
	}
	return Step{Kind: Done}
}

// towardsWriteKey is rule 4: all nodes and instances have the same configuration, and the target does not write yet.
func towardsWriteKey(o Observed, g Goal, agreed encconfig.Description) (Step, error) {
	change := encconfig.Change{Kind: encconfig.Promote, Keys: []encconfig.Key{g.Target}, Resources: g.scope(agreed)}
	if !g.reads(agreed) && g.former(agreed) {
		return bringBack(o, g, agreed) // rule 11
	}
	if !g.reads(agreed) {
		change.Kind = encconfig.AddReadKey
		if len(o.Nodes) == 1 && len(g.Resources) == 0 && !o.LeftOut { // rules 4 and 13
			change.Kind = encconfig.AddWriteKey
		}
		return push(agreed, change, o.Nodes[0].Name, o.names())
	}
	if step, needed, err := set(o, g, agreed); needed || err != nil { // rule 8
		return step, err
	}
	return push(agreed, change, o.Nodes[0].Name, o.names())
}

// push is the step that puts what follows from a change onto nodes.
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

// loaded tells whether every instance that reads a file has proven the configuration of its own node.
func (o Observed) loaded() bool {
	return o.first(func(n Node) bool { return n.Flags != FlagsUnset && n.Loaded != n.Config.Digest }) == nil
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
