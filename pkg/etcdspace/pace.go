// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdspace

import (
	"math"
	"time"
)

// lookahead is how many readings ahead a migration is held. The next one is the first that could see a member full;
// what is in flight then, and what compaction itself needs, goes on into the one after it.
const lookahead = 2

// pace tells what the members would have lookahead readings later if each went on to fill as fast as it did between
// its last two. Only growth counts: a number that became smaller is taken to stay as it is. A member that was read once
// is taken to stay as it is as well.
type pace struct {
	// at is the time of the last reading, whatever came of it; last are the last ones of each member.
	at   time.Time
	last map[string]sighting
	// span is the time of lookahead readings, gains is what each member gains in it.
	span  time.Duration
	gains map[string]gain
}

// sighting is a reading of one member.
type sighting struct {
	Space

	at time.Time
}

// gain is in bytes, neither of them below 0.
type gain struct{ inUse, file int64 }

// see takes a reading, which may have failed and lack some or all members, and tells how long after the one before it
// is. Where nothing is written, the pace stays what it was before.
func (p *pace) see(at time.Time, members []Space, writing bool) time.Duration {
	if p.last == nil {
		p.last, p.gains, p.at = map[string]sighting{}, map[string]gain{}, at
	}
	took := at.Sub(p.at)
	p.at = at
	if writing {
		p.span = lookahead * took
	}
	for _, s := range members {
		before, known := p.last[s.Member]
		if elapsed := at.Sub(before.at); writing && known && elapsed > 0 {
			scale := p.span.Seconds() / elapsed.Seconds()
			p.gains[s.Member] = gain{grown(before.InUse, s.InUse, scale), grown(before.File, s.File, scale)}
		}
		p.last[s.Member] = sighting{s, at}
	}
	return took
}

func grown(before, now int64, scale float64) int64 {
	return int64(math.Ceil(scale * float64(max(now-before, 0))))
}

// ahead is what a member would have after the span.
func (p *pace) ahead(s Space) Space {
	g := p.gains[s.Member]
	s.InUse += g.inUse
	s.File += g.file
	return s
}

// all looks ahead for each.
func (p *pace) all(members []Space) []Space {
	later := make([]Space, len(members))
	for i, s := range members {
		later[i] = p.ahead(s)
	}
	return later
}
