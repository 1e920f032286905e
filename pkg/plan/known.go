// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import "github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"

// known is rule 1, and what rule 13 does not allow at all.
func known(o Observed, g Goal) error {
	if len(o.Nodes) == 0 {
		return refuse("", "no control-plane node was found")
	}
	if o.LeftOut && (g.Abort || g.Flags == RemoveFlags || len(g.Drop) > 0) { // rule 13
		return refuse("bring the node back, or take it out of the cluster",
			"a node is left out, and may come back and write with a key that the others could not read then")
	}
	for _, n := range o.Nodes {
		if n.Missing && n.Flags == FlagsUnset && g.Flags == SetFlags {
			continue
		}
		if err := knownNode(n, g); err != nil {
			return err
		}
	}
	return sameKey(o, g.Target)
}

func knownNode(n Node, g Goal) error {
	switch {
	case n.Flags == FlagsUnset && g.Flags == KeepFlags:
		return refuse("turn it on there with: kubectl encryption enable",
			"the kube-apiserver on node %s runs without --encryption-provider-config", n.Name)
	case n.Flags == FlagsUnset && g.Flags == RemoveFlags:
		return nil // nobody reads its file
	case n.Config == nil:
		return refuse("give it a file again with: kubectl encryption repair; its kube-apiserver needs one at the next start",
			"the encryption configuration of node %s is not usable: %s", n.Name, n.Problem)
	case n.Config.Uses(encconfig.KMS):
		return refuse("rotate the key encryption key in the KMS itself",
			"the encryption configuration of node %s uses a KMS provider, which is not supported yet", n.Name)
	case len(g.Resources) == 0 && len(g.Drop) == 0 && len(n.Config.EncryptingRules()) == 0:
		return refuse("turn it on with: kubectl encryption enable",
			"the encryption configuration of node %s encrypts no resource: identity is the first provider everywhere", n.Name)
	case n.Flags == FlagsWithoutReload && g.Flags != SetFlags:
		return refuse("let it reload with: kubectl encryption enable",
			"the kube-apiserver on node %s does not reload its configuration by itself", n.Name)
	case n.Flags == FlagsWithoutReload && n.Loaded != n.Config.Digest:
		return refuse("restart it first, and look at what it then says: it would load this file at its next start anyway",
			"the kube-apiserver on node %s is not proven to run the configuration that is in its file, and does not reload it by itself", n.Name)
	}
	return nil
}
