// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// sameKey refuses a key that exists under whose name any node knows another one, be it in a revision of long ago: what is stored
// names its key by that name alone.
func sameKey(o Observed, target encconfig.Key) error {
	if target.Fingerprint == "" {
		return nil
	}
	for _, n := range o.Nodes {
		configs := n.History
		if n.Config != nil {
			configs = append(slices.Clone(configs), *n.Config)
		}
		for _, d := range configs {
			if k := newestIn(d, target); k.Fingerprint != target.Fingerprint {
				return refuse("nothing tells them apart in what is stored; rotate to a new key instead, with: kubectl encryption rotate",
					"the name %s stands for two different keys on node %s", target, n.Name)
			}
		}
	}
	return nil
}

// former tells whether the goal's key has to come back from a history.
func (g Goal) former(d encconfig.Description) bool {
	return g.Target.Fingerprint != "" && !d.Has(g.Target)
}

// bringBack is rule 11: a node whose history has the key makes the file that reads it.
func bringBack(o Observed, g Goal, agreed encconfig.Description) (Step, error) {
	source := o.first(func(n Node) bool {
		return slices.ContainsFunc(n.History, func(d encconfig.Description) bool { return slices.Contains(d.Keys(), g.Target) })
	})
	if source == nil {
		return Step{}, refuse("kubectl encryption history lists what the nodes keep", "no node has key %s any more, neither in its file nor in its history", g.Target)
	}
	change := encconfig.Change{Kind: encconfig.AddReadKey, Keys: []encconfig.Key{g.Target}, Resources: g.scope(agreed)}
	return push(agreed, change, source.Name, o.names())
}
