// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// fingerprint stands for a key (rule 9). The upper half says in which part it is, the lower one where it is kept. Zero stands
// for none.
type fingerprint struct{ high, low uint64 }

const (
	// maxSlots is the size of the largest table: 32 MiB.
	maxSlots = 1 << 21
	// maxKeys is how many fingerprints it takes: three quarters.
	maxKeys = maxSlots / 4 * 3
	// minSlots is that of the first; each larger one is four times the one before, and leaves little behind.
	minSlots = 1 << 11
)

// seen is a set of fingerprints, in a table with open addressing that is never full.
type seen struct {
	digest  hash.Hash
	seed    [sha256.Size]byte
	sum     []byte
	slots   []fingerprint
	count   int
	maximum int
}

// newSeen makes a set of at most that many fingerprints, with a seed of its own.
func newSeen(maximum int) *seen {
	s := &seen{digest: sha256.New(), slots: make([]fingerprint, minSlots), maximum: maximum}
	_, _ = rand.Read(s.seed[:]) // it ends the program rather than fail
	return s
}

// of is the fingerprint of a key.
func (s *seen) of(key []byte) fingerprint {
	s.digest.Reset()
	s.digest.Write(s.seed[:])
	s.digest.Write(key)
	s.sum = s.digest.Sum(s.sum[:0])
	f := fingerprint{binary.LittleEndian.Uint64(s.sum), binary.LittleEndian.Uint64(s.sum[8:])}
	if f == (fingerprint{}) {
		f.low = 1
	}
	return f
}

func (s *seen) has(f fingerprint) bool { return s.slots[s.find(f)] == f }

func (s *seen) full() bool { return s.count >= s.maximum }

// add puts in one that is not there. The caller has looked whether it is full.
func (s *seen) add(f fingerprint) {
	if s.count >= len(s.slots)/4*3 {
		old := s.slots
		s.slots = make([]fingerprint, 4*len(old))
		for _, g := range old {
			if g != (fingerprint{}) {
				s.slots[s.find(g)] = g
			}
		}
	}
	s.slots[s.find(f)] = f
	s.count++
}

func (s *seen) clear() {
	clear(s.slots)
	s.count = 0
}

// keep takes out all that it is not true for, in place.
func (s *seen) keep(wanted func(fingerprint) bool) {
	for i := 0; i < len(s.slots); i++ {
		// Another one may move to where one was taken out.
		for s.slots[i] != (fingerprint{}) && !wanted(s.slots[i]) {
			s.remove(i)
		}
	}
}

// find is the slot where it is, or would be.
func (s *seen) find(f fingerprint) int {
	i := s.home(f)
	for s.slots[i] != (fingerprint{}) && s.slots[i] != f {
		i = s.after(i)
	}
	return i
}

func (s *seen) home(f fingerprint) int { return int(f.low & s.mask()) } //nolint:gosec // it is below the length

func (s *seen) after(i int) int {
	if i++; i < len(s.slots) {
		return i
	}
	return 0
}

func (s *seen) mask() uint64 { return uint64(len(s.slots) - 1) } //nolint:gosec // a length is positive

// remove empties a slot and closes the gap: what follows moves up unless that would be before its home.
func (s *seen) remove(gap int) {
	for i := s.after(gap); s.slots[i] != (fingerprint{}); i = s.after(i) {
		if home := s.home(s.slots[i]); s.distance(home, i) >= s.distance(gap, i) {
			s.slots[gap], gap = s.slots[i], i
		}
	}
	s.slots[gap] = fingerprint{}
	s.count--
}

// distance is how many steps it is from one slot on to another.
func (s *seen) distance(from, to int) int { return (to - from + len(s.slots)) & (len(s.slots) - 1) }
