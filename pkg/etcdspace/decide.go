// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdspace

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Outcome is what a decision comes to.
type Outcome int

const (
	// NotKnown is that etcd's room is not known, or not that of every member.
	NotKnown Outcome = iota
	// Fits is that at least the reserve stays free.
	Fits
	// Refused is that it would not.
	Refused
)

// Verdict is a decision with its figures, in bytes.
type Verdict struct {
	Outcome Outcome
	// Space is that of the member that decides. Zero if none was read.
	Space Space
	// Growth is what the migration adds to the bytes in use there before etcd is compacted.
	Growth int64
	// Left is what then stays free of the quota; below 0 it would be passed.
	Left int64
	// Rate is, if Refused, the highest --max-rate that fits, in objects per second. 0 if none does.
	Rate float64
	// Reason says all that in one sentence.
	Reason string
	// Hints say, if Refused, what can be done, the best first.
	Hints []string
}

// Decide tells whether a migration fits into every member of etcd. The limit of the rate is in objects per second, 0 is
// none. The window is two intervals of compaction, 0 if nothing is compacted.
func Decide(reading Reading, demand Demand, maxRate float64, window time.Duration) Verdict {
	var verdicts []Verdict
	for _, s := range reading.Members {
		verdicts = append(verdicts, decide(s, demand, maxRate, window))
	}
	if len(verdicts) == 0 {
		return Verdict{Reason: reading.unknown()}
	}
	worst := slices.MinFunc(verdicts, compare)
	switch {
	case worst.Outcome == Refused:
		worst.explain()
	case len(reading.Unread) > 0:
		return Verdict{Reason: reading.unknown()}
	default:
		worst.Reason = worst.fits()
	}
	return worst
}

// compare puts the member that decides first: one that refuses, the one that allows the lowest rate, the one with the
// least left, those without a quota last.
func compare(a, b Verdict) int {
	return cmp.Or(
		-cmp.Compare(a.Outcome, b.Outcome),
		cmp.Compare(a.Rate, b.Rate),
		boolean(!a.Space.limited())-boolean(!b.Space.limited()),
		cmp.Compare(a.Left, b.Left),
	)
}

// decide looks at one member.
func decide(s Space, demand Demand, maxRate float64, window time.Duration) Verdict {
	v := Verdict{Outcome: Fits, Space: s, Growth: demand.growth(s.InUse, maxRate, window)}
	v.Left = s.Quota - s.InUse - v.Growth
	if !s.limited() || demand.Objects == 0 {
		return v
	}
	room := s.mayUse() - s.InUse
	switch {
	case s.fileFull():
		v.Outcome = Refused
	case v.Growth > room:
		v.Outcome, v.Rate = Refused, demand.rateFor(room, s.InUse, window)
	}
	return v
}

// unknown says why etcd's room is not known.
func (r Reading) unknown() string {
	if len(r.Unread) > 0 {
		return "the room left in etcd is not known: " + r.failures()
	}
	text := "the room left in etcd is not known: no etcd runs as a static pod of this cluster, so its quota can't be read"
	if r.File > 0 {
		text += fmt.Sprintf(" (its file has %s, says kube-apiserver)", size(r.File))
	}
	return text
}

func (r Reading) failures() string {
	var list []string
	for _, u := range r.Unread {
		list = append(list, fmt.Sprintf("etcd on node %s: %s", u.Member, u.Err))
	}
	return strings.Join(list, "; ")
}
