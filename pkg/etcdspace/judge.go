// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdspace

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// patience is how long readings may fail untold, and the least that what is held waits where there is little room.
	patience = time.Minute
	// roomy is the part of what counts as full below which there is much room: over 25 % of the quota.
	roomy = 0.93
)

// judge decides by one reading after the other whether a migration is held. It is pure. Its rules:
//
//  1. One full member holds, whatever else could be read.
//  2. So does one that is not full yet and would be after the next two readings, if its bytes in use and its file, each
//     for itself, go on to grow at the pace that they had since its last reading (pace). What has begun to be written, and what
//     compaction adds to the file, still comes after the hold.
//  3. What is held does not grow, so it goes on by the reading alone, when every member was read and none is full: at once if
//     there is much room, and room for the bytes in use at the pace that it was held at; else after a window of such
//     readings, in which etcd is compacted and what is held has let go of all that it had replaced. So a
//     migration is not held and let go by turns around one number, what it writes until it is held again does not come on
//     top of what only waits for compaction, and neither a cluster that lives just below that number nor a pace that
//     is too fast for any room holds one for ever: it then writes for a few seconds in each window.
//  4. A reading that fails, or lacks a member, changes nothing. After a minute of them that is told, once, and so is
//     the first whole reading after that.
type judge struct {
	// window is that of rule 3.
	window time.Duration
	held   bool
	pace   pace
	// narrow is the time that readings with little room have taken since the hold, failing that of readings in a row that were
	// not whole. A reading takes the time since the one before.
	narrow, failing time.Duration
	// doubted is that it was told that readings fail.
	doubted bool
}

// see takes a reading, the later the time the later the reading, and says what there is to tell.
func (j *judge) see(at time.Time, reading Reading, err error) []string {
	if err == nil && len(reading.Members)+len(reading.Unread) == 0 {
		err = errors.New("no etcd runs as a static pod of this cluster")
	}
	whole := err == nil && len(reading.Unread) == 0
	took := j.pace.see(at, reading.Members, !j.held)
	return append(j.decide(took, reading, whole), j.doubt(took, reading, whole, err)...)
}

// decide applies the rules 1 to 3.
func (j *judge) decide(took time.Duration, reading Reading, whole bool) []string {
	ahead := j.pace.all(reading.Members)
	now, later := tightest(reading.Members), tightest(ahead)
	switch {
	case now.full():
		return j.hold(paused(now))
	case !j.held && later.full():
		of := slices.IndexFunc(reading.Members, func(s Space) bool { return s.Member == later.Member })
		return j.hold(pausedEarly(reading.Members[of], later, j.pace.span, j.window))
	case j.held && whole:
		j.narrow += took
		tooFast := slices.ContainsFunc(ahead, Space.scarce)
		if j.narrow < j.window && (tooFast || now.used() >= roomy) {
			return nil
		}
		j.held = false
		return []string{"the migration goes on: " + now.inUse()}
	}
	return nil
}

// hold holds, and tells why if nothing was held before.
func (j *judge) hold(why string) []string {
	if j.held {
		return nil
	}
	j.held, j.narrow = true, 0
	return []string{why}
}

// doubt applies rule 4.
func (j *judge) doubt(took time.Duration, reading Reading, whole bool, err error) []string {
	if whole {
		doubted := j.doubted
		j.failing, j.doubted = 0, false
		if doubted {
			return []string{"the room left in etcd can be read again"}
		}
		return nil
	}
	if j.failing += took; j.doubted || j.failing < patience {
		return nil
	}
	j.doubted = true
	text := reading.failures()
	if err != nil {
		text = err.Error()
	}
	then := "the migration goes on, and a member that fills up may not be seen"
	if j.held {
		then = "the migration stays paused"
	}
	return []string{fmt.Sprintf("the room left in etcd could not be read for a minute (%s); %s", text, then)}
}
