// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// Flags is what a kube-apiserver is told about its encryption configuration.
type Flags int

// What there is.
const (
	// FlagsSet: the kube-apiserver reads a file and reloads it by itself.
	FlagsSet Flags = iota
	// FlagsWithoutReload: it reads a file when it starts.
	FlagsWithoutReload
	// FlagsUnset: it knows nothing of encryption; all that it writes is plaintext, and that is all it can read.
	FlagsUnset
)

// FlagsGoal is what shall become of the flags.
type FlagsGoal int

// The goals.
const (
	// KeepFlags: every kube-apiserver has them already.
	KeepFlags FlagsGoal = iota
	// SetFlags: every kube-apiserver shall have them.
	SetFlags
	// RemoveFlags: none shall have them, once nothing is encrypted any more.
	RemoveFlags
)

// set is rule 8 on the way in: every node has the same file, whose keys every resource of the goal can be read with. So
// can plaintext, before a node reads the file that has written nothing else until now.
func set(o Observed, g Goal, agreed encconfig.Description) (step Step, needed bool, err error) {
	if g.Flags != SetFlags {
		return Step{}, false, nil
	}
	n := o.without(FlagsSet)
	if n == nil {
		return Step{Kind: KubeadmConfig, Flags: FlagsSet}, o.KubeadmStale, nil
	}
	if blind := withoutPlaintext(agreed); n.Flags == FlagsUnset && len(blind) > 0 {
		plain := encconfig.Change{Kind: encconfig.AddReadKey, Keys: []encconfig.Key{{Provider: encconfig.Identity}}, Resources: blind}
		step, err := push(agreed, plain, o.Nodes[0].Name, o.names())
		return step, true, err
	}
	return edit(*n, FlagsSet), true, nil
}

// stepBack is rule 8 for a file that encrypts and that no kube-apiserver reads, such as one that somebody has
// prepared: the first kube-apiserver to read it would write what the others can't. So identity comes to the front
// first; the keys stay behind it, for what is stored with them.
func stepBack(o Observed, g Goal, agreed encconfig.Description) (step Step, needed bool, err error) {
	if g.Flags != SetFlags || len(o.Readers().Nodes) > 0 || len(agreed.EncryptingRules()) == 0 {
		return Step{}, false, nil
	}
	plain := encconfig.Change{Kind: encconfig.Promote, Keys: []encconfig.Key{{Provider: encconfig.Identity}}, Resources: agreed.Patterns()}
	if blind := withoutPlaintext(agreed); len(blind) > 0 {
		plain.Kind, plain.Resources = encconfig.AddReadKey, blind
	}
	step, err = push(agreed, plain, o.Nodes[0].Name, o.names())
	return step, true, err
}

// withoutPlaintext are the resources whose plaintext can't be read.
func withoutPlaintext(d encconfig.Description) []string {
	var blind []string
	for _, r := range d.Rules {
		if r.Index(encconfig.Key{Provider: encconfig.Identity}) < 0 {
			blind = append(blind, r.Resources...)
		}
	}
	return blind
}

// remove is the rest of rule 9, when superseded revisions are gone and etcd was counted. Where encrypted values were
// seen the flags stay, and there is nothing left to do.
func remove(o Observed, g Goal) (step Step, needed bool) {
	if g.Flags != RemoveFlags || o.Counted.Encrypted {
		return Step{}, false
	}
	switch n := o.without(FlagsUnset); {
	case o.KubeadmStale:
		return Step{Kind: KubeadmConfig, Flags: FlagsUnset}, true
	case n != nil:
		return edit(*n, FlagsUnset), true
	}
	return Step{}, false
}

// removed is the rest of rule 9, when no kube-apiserver has flags any more.
func removed(o Observed) Step {
	if o.KubeadmStale {
		return Step{Kind: KubeadmConfig, Flags: FlagsUnset}
	}
	return closing(o)
}

// Readers leaves out the nodes whose kube-apiserver reads no file.
func (o Observed) Readers() Observed {
	o.Nodes = slices.DeleteFunc(slices.Clone(o.Nodes), func(n Node) bool { return n.Flags == FlagsUnset })
	return o
}

func edit(n Node, flags Flags) Step {
	return Step{Kind: EditManifest, Targets: []string{n.Name}, Flags: flags}
}

// first is the first node of a kind, nil if there is none.
func (o Observed) first(is func(Node) bool) *Node {
	if at := slices.IndexFunc(o.Nodes, is); at >= 0 {
		return &o.Nodes[at]
	}
	return nil
}

// without is the first node that has other flags, nil if there is none.
func (o Observed) without(flags Flags) *Node {
	return o.first(func(n Node) bool { return n.Flags != flags })
}
