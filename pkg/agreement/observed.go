// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agreement

import (
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// Observed is all that Next looks at.
type Observed struct {
	// Nodes are the control-plane nodes that could be looked at. Each runs one kube-apiserver, which reads its file.
	Nodes []Node
	// Silent are the names of those that could not.
	Silent []string
}

// Node is one control-plane node and its kube-apiserver.
type Node struct {
	Name string
	// Digest of the file's bytes, also of a file that is not understood. Empty if there is none, or it can't be read.
	Digest string
	// Config is what the file says, nil if it is not usable; Problem says why.
	Config  *encconfig.Description
	Problem string
	// Missing: there is no file, and nothing in its place.
	Missing bool
	// History are the configurations that the node had, oldest first. One that is not understood has no rules.
	History []encconfig.Description
	// HighestWritten is the highest number of a key that is known to have been a write key on the node, also if nothing of that
	// is in the history any more.
	HighestWritten uint64
	// HistoryDamaged: there is more in the history than could be read.
	HistoryDamaged bool

	// TellsLoaded: the kube-apiserver reports the digest of what it has loaded (from 1.34 on), which is Loaded.
	TellsLoaded bool
	Loaded      string
	// Proven: it is proven to have loaded the file as it is.
	Proven bool
	// Given: this repair has put the file there, and has not awaited it yet.
	Given bool
	// Rejected: its last attempt to load the file has failed, and no other has succeeded since.
	Rejected bool
}

// known are all descriptions that the node has, its file first, then its history from the newest on.
func (n Node) known() []encconfig.Description {
	var list []encconfig.Description
	if n.Config != nil {
		list = append(list, *n.Config)
	}
	for _, d := range slices.Backward(n.History) {
		list = append(list, d)
	}
	return list
}

// understood are those of known that have rules.
func (n Node) understood() []encconfig.Description {
	return slices.DeleteFunc(n.known(), func(d encconfig.Description) bool { return len(d.Rules) == 0 })
}

// find looks for a description by its digest, on the node itself first. nil if no node has it.
func (o Observed) find(on Node, digest string) *encconfig.Description {
	for _, n := range append([]Node{on}, o.Nodes...) {
		list := n.known()
		if at := slices.IndexFunc(list, func(d encconfig.Description) bool { return d.Digest == digest }); at >= 0 {
			return &list[at]
		}
	}
	return nil
}

// agreed tells whether all nodes have the same usable file.
func (o Observed) agreed() bool {
	return len(o.Nodes) > 0 && !slices.ContainsFunc(o.Nodes, func(n Node) bool {
		return n.Config == nil || n.Digest != o.Nodes[0].Digest
	})
}

// proven tells whether each kube-apiserver has loaded the file of its node.
func (o Observed) proven() bool {
	return !slices.ContainsFunc(o.Nodes, func(n Node) bool { return !n.Proven })
}
