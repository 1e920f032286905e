// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
)

// Observed is all that Next looks at.
type Observed struct {
	// Nodes are all control-plane nodes. Each runs one kube-apiserver.
	Nodes []Node
	// Progress is what is on record about the goal's key as the write key.
	Progress Progress
	// Unneeded are the keys that nothing stored needs: a migration away from them has finished, and two intervals
	// of compaction have passed since.
	Unneeded []encconfig.Key
	// Aged: superseded revisions of what the goal's migration has rewritten are gone.
	Aged bool
	// Counted is what etcd was counted to hold since the migration, nil if it was not counted since.
	Counted *Counted
	// LeftOut: there are further nodes, whose kube-apiservers do not serve, and which come back as they were.
	LeftOut bool
	// KubeadmStale: kubeadm's own configuration does not say of the flags what the goal says.
	KubeadmStale bool
}

// Node is one control-plane node and its kube-apiserver.
type Node struct {
	Name string
	// Config is the configuration in the node's file, nil if it can't be read or understood; Problem says why, or what
	// is wrong with the history.
	Config  *encconfig.Description
	Problem string
	// Missing: there is no file, and never was one that can't be read.
	Missing bool
	// Flags is what the node's kube-apiserver runs with.
	Flags Flags
	// Edited: a guard is at work on the manifest, or the kube-apiserver does not run as the manifest says yet. EditedTo is
	// what it will run with if all goes well, as far as a preview has to know.
	Edited   bool
	EditedTo Flags
	// History are the configurations that were installed on the node, and those that they replaced, oldest first. The
	// last one is the node's own, unless somebody else has changed the file since.
	History []encconfig.Description
	// HighestWritten is the highest number of a key that is known to have been a write key on the node, also if nothing of that
	// time is in the history any more. 0 if the node does not tell: then its file and its history do.
	HighestWritten uint64
	// Loaded is the digest that the node's kube-apiserver is proven to have loaded, empty if there is no proof yet.
	Loaded string
}

// Progress is how far the data has followed the write key.
type Progress struct {
	// Settled: baselines are recorded for this write key.
	Settled bool
	// Migrated: every encrypted resource was migrated to this write key, without a failure.
	Migrated bool
	// Closed: the record of the rotation is finished.
	Closed bool
	// Used: something may be stored with the key, by the record or by what an instance counts.
	Used bool
}

// MinKeep is the smallest Keep: the write key and the one before it, which backups and old revisions need.
const MinKeep = 2

// DefaultKeep is how many keys are kept where nothing else is said.
const DefaultKeep = 8

// Pending is the key of a rotation that has begun and not reached its write key: on some node, a read key that is newer than
// the write keys and than every key that has written on any node, and that was added there by us, as the node's history shows.
// One that some node writes with already is still on its way to the others. One that has written and reads now was rolled back
// from, and one that was there before us was never begun by us: neither is a beginning. False if there is none.
func Pending(nodes []Node) (encconfig.Key, bool) {
	var found encconfig.Key
	var highest, everywhere uint64
	for _, n := range nodes {
		everywhere = max(everywhere, n.written())
	}
	for _, n := range nodes {
		if n.Config == nil {
			continue
		}
		for _, k := range n.Config.Keys() {
			number := keys.Number(k.Name)
			begun := number > everywhere || n.attempted(k) || writtenNow(nodes, k)
			if k.Provider.Local() && begun && n.added(k) && number > highest && readKey(*n.Config, k) {
				found, highest = k, number
			}
		}
	}
	return found, highest > 0
}

// writtenNow tells whether some node writes with a key.
func writtenNow(nodes []Node, k encconfig.Key) bool {
	return slices.ContainsFunc(nodes, func(n Node) bool { return n.Config != nil && n.Config.Writes(k) })
}

func readKey(d encconfig.Description, k encconfig.Key) bool { return d.Reads(k) && !d.Writes(k) }

// attempted tells whether a promotion of the key was interrupted before the file was replaced: its result is in the history,
// and the key has written nothing.
func (n Node) attempted(k encconfig.Key) bool {
	last := len(n.History) - 1
	return last >= 0 && n.History[last].Digest != n.Config.Digest && n.History[last].Writes(k)
}

// added tells whether the node's history shows that it was without the key: we have added it, to a node whose write keys are older.
func (n Node) added(k encconfig.Key) bool {
	return keys.Number(k.Name) > newest(n.Config.WriteKeys()) && n.knewWithout(k)
}

// knewWithout tells whether there is a record of the time before the key.
func (n Node) knewWithout(k encconfig.Key) bool {
	return slices.ContainsFunc(n.History, func(d encconfig.Description) bool { return !d.Has(k) })
}

// written is the highest number of a key that is or was a write key on the node, by all that is known of it.
func (n Node) written() uint64 {
	highest := n.HighestWritten
	if n.Config != nil {
		highest = max(highest, newest(n.Config.WriteKeys()))
	}
	for _, d := range n.History {
		highest = max(highest, newest(d.WriteKeys()))
	}
	return highest
}

func newest(list []encconfig.Key) uint64 {
	var n uint64
	for _, k := range list {
		if k.Provider.Local() {
			n = max(n, keys.Number(k.Name))
		}
	}
	return n
}

// NewKey names a key that was never seen: not in a configuration, not in a history, and above the given high-water
// marks of the nodes and of the record.
func NewKey(p encconfig.Provider, nodes []Node, highest ...uint64) encconfig.Key {
	var seen []string
	for _, n := range nodes {
		configs := n.History
		if n.Config != nil {
			configs = append(slices.Clone(configs), *n.Config)
		}
		for _, c := range configs {
			for _, k := range c.Keys() {
				seen = append(seen, k.Name)
			}
		}
	}
	for _, h := range highest {
		seen = append(seen, keys.NameOf(h))
	}
	return encconfig.Key{Provider: p, Name: keys.NextName(seen...)}
}

// Agreed is the configuration that all nodes have, nil if they differ or one has none.
func (o Observed) Agreed() *encconfig.Description {
	if len(o.Nodes) == 0 {
		return nil
	}
	first := o.Nodes[0].Config
	for _, n := range o.Nodes {
		if first == nil || n.Config == nil || n.Config.Digest != first.Digest {
			return nil
		}
	}
	return first
}

// Overtaken tells whether the nodes have gone on since a rotation to a key that was new then: none writes with it, and a newer one
// has written. A record that is open for it comes from a time before, as that of an etcd that was restored.
func Overtaken(nodes []Node, k encconfig.Key) bool {
	return k.Provider.Local() && !writtenNow(nodes, k) && slices.ContainsFunc(nodes, func(n Node) bool { return n.written() > keys.Number(k.Name) })
}

// everWritten tells whether the key is or may have been the write key of any configuration of any node. A revision
// that is not understood has no rules, and may have been anything. A key of a lower number than one that has written may
// have written itself, at a time that no history tells of any more.
func (o Observed) everWritten(k encconfig.Key) bool {
	return o.hasWritten(k) || slices.ContainsFunc(o.Nodes, func(n Node) bool {
		return slices.ContainsFunc(n.History, func(d encconfig.Description) bool { return len(d.Rules) == 0 })
	})
}

// hasWritten is everWritten without what is not understood.
func (o Observed) hasWritten(k encconfig.Key) bool {
	return o.Progress.Used || slices.ContainsFunc(o.Nodes, func(n Node) bool {
		return n.HighestWritten > 0 && keys.Number(k.Name) <= n.HighestWritten || n.Config != nil && n.Config.Writes(k) ||
			slices.ContainsFunc(n.History, func(d encconfig.Description) bool { return d.Writes(k) })
	})
}

// isOurs tells whether each node that has the key also has a record of the time before it.
func (o Observed) isOurs(k encconfig.Key) bool {
	return !slices.ContainsFunc(o.Nodes, func(n Node) bool {
		return n.Config != nil && n.Config.Has(k) && (n.Problem != "" || !n.knewWithout(k))
	})
}
