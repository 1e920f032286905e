// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agreement

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
)

// ring are all keys that are to be kept readable, newest first.
type ring struct {
	keys []encconfig.Key
	// leftOut are keys of histories whose names stand for other keys, see rule 2.
	leftOut []Held
}

// Held is a key and a node that has it.
type Held struct {
	Key encconfig.Key
	// Node has the key in its file or, with History, in its history alone.
	Node    string
	History bool
}

// gather is rules 1 and 2.
func gather(servers []server) (ring, error) {
	var r ring
	for _, s := range servers {
		for _, d := range append(usable(s.Node), s.own) {
			if err := r.use(d, servers); err != nil {
				return ring{}, err
			}
		}
	}
	r.addHistories(servers)
	slices.SortStableFunc(r.keys, func(a, b encconfig.Key) int { return compareAge(b, a) })
	return r, nil
}

// use adds the keys of a configuration in use.
func (r *ring) use(d encconfig.Description, servers []server) error {
	for _, k := range local(d) {
		have := r.named(k)
		if have == nil {
			r.keys = append(r.keys, k)
			continue
		}
		if *have != k {
			return refuse([]string{
				"see with \"kubectl encryption verify --decrypt\" which of the two what is stored needs; take the other one out of the files by hand; " +
					"it stays in the history of its node",
				"if both are needed: give each resource's objects to the nodes that can read them by stopping the others, and migrate them to another key first",
			}, "two different keys are called %s: %s and %s; nothing tells which of them a stored value needs",
				k, whereIs(*have, servers), whereIs(k, servers))
		}
	}
	return nil
}

func (r *ring) named(k encconfig.Key) *encconfig.Key {
	if at := slices.IndexFunc(r.keys, k.Is); at >= 0 {
		return &r.keys[at]
	}
	return nil
}

// addHistories adds what is in histories alone.
func (r *ring) addHistories(servers []server) {
	inUse := slices.Clone(r.keys)
	newest := newestWrite(servers)
	var found []Held
	for _, s := range servers {
		for _, d := range s.understood() {
			for _, k := range local(d) {
				known := slices.Contains(inUse, k) || slices.ContainsFunc(found, func(h Held) bool { return h.Key == k })
				if !known && !takenBack(k, newest, servers) {
					found = append(found, Held{Key: k, Node: s.Name, History: true})
				}
			}
		}
	}
	for _, h := range found {
		other := func(k encconfig.Key) bool { return k.Is(h.Key) && k != h.Key }
		if slices.ContainsFunc(inUse, other) || slices.ContainsFunc(found, func(o Held) bool { return other(o.Key) }) {
			r.leftOut = append(r.leftOut, h)
			continue
		}
		r.keys = append(r.keys, h.Key)
	}
}

// newestWrite is the highest number of a key that a kube-apiserver writes with.
func newestWrite(servers []server) uint64 {
	var n uint64
	for _, s := range servers {
		for _, k := range s.own.WriteKeys() {
			n = max(n, keys.Number(k.Name))
		}
	}
	return n
}

// takenBack tells of a key in histories alone whether it was taken back before it was used. A history forgets revisions whose
// keys later ones hold, and with them that a key wrote; the mark does not.
func takenBack(k encconfig.Key, newestWrite uint64, servers []server) bool {
	return keys.Number(k.Name) > newestWrite && !slices.ContainsFunc(servers, func(s server) bool {
		return s.HistoryDamaged || keys.Number(k.Name) <= s.HighestWritten || slices.ContainsFunc(s.known(), func(d encconfig.Description) bool {
			return len(d.Rules) == 0 || slices.Contains(d.WriteKeys(), k)
		})
	})
}

// holder is a node that has a key, in its file where any has it there.
func holder(k encconfig.Key, servers []server) Held {
	found := Held{Key: k}
	for _, s := range servers {
		switch {
		case s.Config != nil && slices.Contains(local(*s.Config), k):
			return Held{Key: k, Node: s.Name}
		case found.Node == "" && s.has(k):
			found = Held{Key: k, Node: s.Name, History: true}
		}
	}
	return found
}

// has tells whether the node has the key, in its file or its history.
func (n Node) has(k encconfig.Key) bool {
	return slices.ContainsFunc(n.understood(), func(d encconfig.Description) bool { return slices.Contains(local(d), k) })
}

func whereIs(k encconfig.Key, servers []server) string {
	h := holder(k, servers)
	where := "in the file of " + h.Node
	if h.History {
		where = "in what the kube-apiserver on " + h.Node + " has loaded"
	}
	return fmt.Sprintf("%s (fingerprint %s)", where, k.Fingerprint)
}

// local are the keys of a configuration that are in the file itself.
func local(d encconfig.Description) []encconfig.Key {
	return slices.DeleteFunc(d.Keys(), func(k encconfig.Key) bool { return !k.Provider.Local() })
}

// compareAge orders keys from the oldest to the newest; those that no number tells apart by name, so that the order is
// the same wherever it is made.
func compareAge(a, b encconfig.Key) int {
	return cmp.Or(cmp.Compare(keys.Number(a.Name), keys.Number(b.Name)),
		strings.Compare(a.Name, b.Name), strings.Compare(string(a.Provider), string(b.Provider)))
}
