// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package census

import (
	"cmp"
	"maps"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

// MaxGroups is the number of groups that a resource has, without those of Others.
const MaxGroups = 256

// Group is all values of one resource that are alike.
type Group struct {
	State State `json:"state"`
	// Readable is that the configuration has the key for this resource. Undecodable, Unknown, Missing and Undecryptable values
	// are not.
	Readable bool `json:"readable"`
	// Provider that the value names, identity for plaintext. Whatever stands there of an unknown one.
	Provider encconfig.Provider `json:"provider,omitempty"`
	// Version of the provider's format, "v1" or "v2".
	Version string `json:"version,omitempty"`
	// Key is the key's name, for KMS the plugin's.
	Key string `json:"key,omitempty"`
	// KeyID is what a plugin of KMS v2 calls its key.
	KeyID string `json:"keyID,omitempty"`
	// Others is that this is the sum of groups beyond MaxGroups. It says nothing of provider and key.
	Others bool `json:"others,omitempty"`
	// Objects is the number of values.
	Objects int64 `json:"objects"`
	// Names are the first objects, in order, unless the group is Current or Unjudged.
	Names []string `json:"names,omitempty"`
}

// isUnder tells whether the values name the key: with KMS the version as well, where it is known.
func (g Group) isUnder(k encconfig.Key) bool {
	return k.Is(g.NamedKey()) && (k.Version == "" || k.Version == g.Version)
}

// NamedKey is the key that the values of the group name.
func (g Group) NamedKey() encconfig.Key { return encconfig.Key{Provider: g.Provider, Name: g.Key} }

// id is what tells groups apart.
type id struct {
	state        State
	readable     bool
	provider     encconfig.Provider
	version, key string
	keyID        string
	others       bool
}

func idOf(state State, readable bool, mark stored.Mark) id {
	return id{
		state: state, readable: readable, provider: encconfig.Provider(text(string(mark.Provider))),
		version: text(mark.Version), key: text(mark.Key), keyID: text(mark.KeyID),
	}
}

func (g Group) id() id {
	return id{
		state: g.State, readable: g.Readable, provider: g.Provider, version: g.Version, key: g.Key, keyID: g.KeyID, others: g.Others,
	}
}

// compare is the order of groups: that of a table, the others at its end. What the configuration has comes first, so others
// push out what it does not have.
func (i id) compare(other id) int {
	return cmp.Or(
		boolean(i.others)-boolean(other.others),
		cmp.Compare(i.state.place(), other.state.place()),
		boolean(!i.readable)-boolean(!other.readable),
		cmp.Compare(i.provider, other.provider),
		cmp.Compare(i.key, other.key),
		cmp.Compare(i.version, other.version),
		cmp.Compare(i.keyID, other.keyID),
	)
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// groups are the groups of a resource while it is counted. No more than limit are kept, the first in their order. One that is
// pushed out was behind so many others, and stays so: the groups that are left have all their values (rule 5).
type groups struct {
	limit, names int
	kept, others map[id]*Group
	// last is the last one that is kept, if there are limit of them.
	last *id
}

func newGroups(limit, names int) *groups {
	return &groups{limit: limit, names: names, kept: map[id]*Group{}, others: map[id]*Group{}}
}

// at gives the group that values are added to.
func (gs *groups) at(i id) *Group {
	if g, ok := gs.kept[i]; ok {
		return g
	}
	if i.others || gs.last != nil && i.compare(*gs.last) > 0 {
		return gs.other(i)
	}
	if gs.last != nil {
		out := gs.kept[*gs.last]
		delete(gs.kept, *gs.last)
		gs.other(*gs.last).take(*out, gs.names)
	}
	g := &Group{State: i.state, Readable: i.readable, Provider: i.provider, Version: i.version, Key: i.key, KeyID: i.keyID}
	gs.kept[i] = g
	if gs.last = nil; len(gs.kept) >= gs.limit {
		last := slices.MaxFunc(slices.Collect(maps.Keys(gs.kept)), id.compare)
		gs.last = &last
	}
	return g
}

// other is the sum that a group goes to.
func (gs *groups) other(i id) *Group {
	sum := id{state: i.state, readable: i.readable, others: true}
	if gs.others[sum] == nil {
		gs.others[sum] = &Group{State: i.state, Readable: i.readable, Others: true}
	}
	return gs.others[sum]
}

// list gives all groups in their order.
func (gs *groups) list() []Group {
	var all []Group
	for _, m := range []map[id]*Group{gs.kept, gs.others} {
		for _, g := range m {
			copied := *g
			copied.Names = inOrder(g.Names)
			all = append(all, copied)
		}
	}
	slices.SortFunc(all, func(a, b Group) int { return a.id().compare(b.id()) })
	return all
}

// take adds another group's values.
func (g *Group) take(other Group, names int) {
	g.Objects += other.Objects
	g.Names = first(slices.Concat(g.Names, other.Names), names)
}
