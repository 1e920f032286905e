// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdspace

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	// Amplification is how many bytes come into use for each byte that is stored again, until the next compaction: the
	// value, its key and revision, and what its page leaves empty.
	Amplification = 1.5
	// Reserve is the part of the quota that must stay free.
	Reserve = 0.20
	// FullFile is the part of the quota over which a file is as good as full.
	FullFile = 0.95
)

// Space is the room that one member of etcd has, all in bytes.
type Space struct {
	// Member is the name of its node.
	Member string
	// Quota is what the file may grow to. Not above 0: there is no limit.
	Quota int64
	// File is the size of the file, free pages included; InUse is without them.
	File, InUse int64
}

// Reading is what was seen of etcd at one time.
type Reading struct {
	// Members by name of their nodes, as far as they could be read.
	Members []Space
	// Unread are the members that there are besides.
	Unread []Unread
	// File is the size of etcd's file as a kube-apiserver tells it, for who is to read why nothing more is known. 0 if
	// that is not known either.
	File int64
}

// Unread is a member that could not be read.
type Unread struct {
	Member string
	Err    error
}

// limited tells whether there is a quota.
func (s Space) limited() bool { return s.Quota > 0 }

// mayUse is how many bytes may be in use (rule 2).
func (s Space) mayUse() int64 { return s.part(1 - Reserve) }

// fileFull applies rule 3.
func (s Space) fileFull() bool { return s.limited() && s.File > s.part(FullFile) }

// passed tells whether the file is over the quota itself: etcd raises the alarm NOSPACE at the next write, if it has not.
func (s Space) passed() bool { return s.limited() && s.File >= s.Quota }

// scarce applies rule 2.
func (s Space) scarce() bool { return s.limited() && s.InUse > s.mayUse() }

// full tells whether a migration must not write now.
func (s Space) full() bool { return s.fileFull() || s.scarce() }

func (s Space) part(of float64) int64 { return int64(of * float64(s.Quota)) }

// used is the part of the quota that counts against the member: 0 is empty, 1 is at a limit.
func (s Space) used() float64 {
	if !s.limited() {
		return 0
	}
	quota := float64(s.Quota)
	return max(float64(s.InUse)/(1-Reserve), float64(s.File)/FullFile) / quota
}

// tightest is the member with the least room (rule 4), zero if there is none. It is full if any member is.
func tightest(members []Space) Space {
	if len(members) == 0 {
		return Space{}
	}
	return slices.MaxFunc(members, func(a, b Space) int {
		return cmp.Or(boolean(a.full())-boolean(b.full()), cmp.Compare(a.used(), b.used()))
	})
}

// boolean makes false and true comparable.
func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// size writes bytes as Kubernetes writes quantities, rounded to what is worth reading: "512", "37Ki", "1843Mi", "2Gi".
func size(bytes int64) string {
	unit := int64(1)
	switch {
	case bytes >= 10<<20:
		unit = 1 << 20
	case bytes >= 1<<10:
		unit = 1 << 10
	}
	return resource.NewQuantity((bytes+unit/2)/unit*unit, resource.BinarySI).String()
}
