// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdspace

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

// The readings of one member with a quota of 2 GiB, and two that are none.
const (
	much   = "much room"   // 50 % in use
	jump   = "a jump"      // 62 % in use: with much room before, it would be 86 % two readings later
	little = "little room" // 78 % in use
	full   = "full"        // 82 % in use
	slim   = "slim"        // 50 % in use, in a file of 89 %
	thick  = "thick"       // the same, in a file of 93 %
	bloat  = "bloat"       // the same, in a file of 96 %
	over   = "over"        // the same, in a file of 101 %
	lacks  = "a member not read"
	fails  = "no reading"
)

func reading(kind string) (Reading, error) {
	percent := func(of int64) int64 { return 2 * gib * of / 100 }
	inUse := map[string]int64{jump: 62, little: 78, full: 82}
	file := map[string]int64{slim: 89, thick: 93, bloat: 96, over: 101}
	s := node1(gib)
	switch {
	case inUse[kind] > 0:
		s = node1(percent(inUse[kind]))
	case file[kind] > 0:
		s.File = percent(file[kind])
	case kind == lacks:
		return Reading{Members: []Space{s}, Unread: []Unread{{"n2", errNotReady}}}, nil
	case kind == fails:
		return Reading{}, errors.New("connection refused")
	}
	return Reading{Members: []Space{s}}, nil
}

// step is the time between two readings of these tests: six take a minute.
const step = 10 * time.Second

func times(n int, kind string) []string { return slices.Repeat([]string{kind}, n) }

// judged is what a judge that takes these readings does in the end, and what it tells.
type judged struct {
	kinds []string
	held  bool
	told  []string
}

func judgeAll(t *testing.T, tests map[string]judged) {
	t.Helper()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := judge{window: time.Minute}
			var told []string
			at := time.Unix(0, 0)
			for _, kind := range tt.kinds {
				r, err := reading(kind)
				told = append(told, j.see(at, r, err)...)
				at = at.Add(step)
			}
			assert.Equal(t, tt.held, j.held)
			assert.Equal(t, tt.told, told)
		})
	}
}

func TestJudgeHoldsAndLetsGo(t *testing.T) {
	t.Parallel()
	judgeAll(t, map[string]judged{
		"much room holds nobody":                    {[]string{much, much}, false, nil},
		"little room holds nobody":                  {times(10, little), false, nil},
		"a full member holds":                       {[]string{full}, true, []string{pausedText}},
		"it is told once":                           {times(3, full), true, []string{pausedText}},
		"a full file holds":                         {[]string{bloat}, true, []string{bloatText}},
		"a file over the quota asks for more":       {[]string{over}, true, []string{overText}},
		"much room lets go":                         {[]string{full, much}, false, []string{pausedText, goesOn + "1Gi of its quota of 2Gi in use"}},
		"little room does not":                      {append([]string{full}, times(5, little)...), true, []string{pausedText}},
		"little room for a window lets go":          {append([]string{full}, times(6, little)...), false, []string{pausedText, goesOnLittle}},
		"full readings do not count":                {slices.Concat([]string{full}, times(5, little), times(9, full)), true, []string{pausedText}},
		"nor do they undo what counted":             {slices.Concat([]string{full}, times(5, little), []string{full, little}), false, []string{pausedText, goesOnLittle}},
		"a member that is not read does not let go": {[]string{full, lacks}, true, []string{pausedText}},
		"failures are no window of little room":     {slices.Concat([]string{full, little}, times(5, fails), []string{little}), true, []string{pausedText}},
	})
}

func TestJudgeLooksAhead(t *testing.T) {
	t.Parallel()
	judgeAll(t, map[string]judged{
		"a member that would be full two readings later holds": {[]string{much, jump}, true, []string{jumpText}},
		"a file that would be full holds":                      {[]string{slim, thick}, true, []string{thickText}},
		"a member that was read once has no pace":              {[]string{jump}, false, nil},
		"one that stays as it is has none":                     {[]string{jump, jump}, false, nil},
		"one that shrinks has none":                            {[]string{little, jump, much}, false, nil},
		"with a reading lost, the pace is half of it":          {[]string{much, fails, jump}, false, nil},
		"where nothing is written, a pace does not hold on":    {[]string{full, much, much}, false, []string{pausedText, goesOn + "1Gi of its quota of 2Gi in use"}},
		"room for the pace it was held at lets go":             {[]string{much, jump, much}, false, []string{jumpText, goesOn + "1Gi of its quota of 2Gi in use"}},
		"room that the pace would fill does not":               {slices.Concat([]string{much}, times(6, jump)), true, []string{jumpText}},
		"such room for a window does":                          {slices.Concat([]string{much}, times(7, jump)), false, []string{jumpText, goesOn + "1270Mi of its quota of 2Gi in use"}},
	})
}

func TestJudgeTellsOfFailures(t *testing.T) {
	t.Parallel()
	open := unread + "(connection refused); the migration goes on, and a member that fills up may not be seen"
	judgeAll(t, map[string]judged{
		"a reading that fails holds nobody":       {[]string{much, fails}, false, nil},
		"a reading that fails lets nobody go":     {[]string{full, fails}, true, []string{pausedText}},
		"a minute of failures is told once":       {slices.Concat([]string{much, fails, lacks}, times(7, fails)), false, []string{open}},
		"so is each other minute":                 {slices.Concat([]string{much}, times(6, fails), []string{much}, times(6, fails)), false, []string{open, again, open}},
		"a minute without a member is told":       {append([]string{full}, times(6, lacks)...), true, []string{pausedText, unread + "(etcd on node n2: its pod is not ready); the migration stays paused"}},
		"the end of a minute of failures is told": {slices.Concat([]string{much}, times(6, fails), []string{much, much}), false, []string{open, again}},
		"less than a minute is not told":          {slices.Concat([]string{much}, times(5, fails), []string{much, fails}), false, nil},
	})
}

const (
	pausedText = "the migration is paused: etcd on node n1 has 1679Mi of its quota of 2Gi in use, and 20% must stay free; " +
		"it goes on by itself when etcd has been compacted"
	jumpText = "the migration is paused: etcd on node n1 has 1270Mi of its quota of 2Gi in use and would have 1761Mi in 20s, and 20% must " +
		"stay free; it goes on by itself when etcd has been compacted, at the latest after 1m0s unless it is full then"
	thickText = "the migration is paused: the file of etcd on node n1 has 1905Mi of its quota of 2Gi and would have 2068Mi in 20s, over 95%; " +
		"it goes on by itself after 1m0s unless it is over that by then"
	bloatText = "the migration is paused: the file of etcd on node n1 has grown to 1966Mi, over 95% of its quota of 2Gi; compaction does " +
		"not make it smaller; it goes on by itself when that member was defragmented (etcdctl defrag)"
	overText = "the migration is paused: the file of etcd on node n1 has grown to 2068Mi, over 95% of its quota of 2Gi; compaction does " +
		"not make it smaller; it goes on by itself when that member was defragmented (etcdctl defrag); over the quota, etcd raises the " +
		"alarm NOSPACE and refuses all writes until that is cleared as well (etcdctl alarm list, etcdctl alarm disarm)"
	goesOn       = "the migration goes on: etcd on node n1 has "
	goesOnLittle = goesOn + "1597Mi of its quota of 2Gi in use"
	unread       = "the room left in etcd could not be read for a minute "
	again        = "the room left in etcd can be read again"
)

func TestJudgeTellsOfAClusterWithoutMembers(t *testing.T) {
	t.Parallel()
	j := judge{window: time.Minute}
	var told []string
	for i := range 12 {
		told = append(told, j.see(time.Unix(0, 0).Add(time.Duration(i)*step), Reading{}, nil)...)
	}
	assert.False(t, j.held)
	assert.Equal(t, []string{
		unread + "(no etcd runs as a static pod of this cluster); the migration goes on, and a member that fills up may not be seen",
	}, told)
}

// anyReading lacks some of three members now and then.
func anyReading(t *rapid.T) Reading {
	var r Reading
	for _, name := range []string{"a", "b", "c"} {
		if rapid.IntRange(0, 3).Draw(t, "unread "+name) == 0 {
			r.Unread = append(r.Unread, Unread{name, errNotReady})
			continue
		}
		r.Members = append(r.Members, anySpace(name).Draw(t, name))
	}
	return r
}

// Whatever is read, in whatever order.
func TestJudgeKeepsItsRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		j := judge{window: time.Minute}
		last, at := map[string]Space{}, time.Unix(0, 0)
		var before []Space // of the reading before, unless it failed
		for range rapid.IntRange(1, 60).Draw(t, "readings") {
			at = at.Add(step)
			held := j.held
			if rapid.IntRange(0, 9).Draw(t, "failure") == 0 {
				j.see(at, Reading{}, errors.New("failed"))
				assert.Equal(t, held, j.held, "a failure changes nothing")
				before = nil
				continue
			}
			r := anyReading(t)
			j.see(at, r, nil)
			for _, s := range r.Members {
				last[s.Member] = s
				for _, b := range before {
					later := Space{s.Member, s.Quota, s.File + 2*max(s.File-b.File, 0), s.InUse + 2*max(s.InUse-b.InUse, 0)}
					assert.True(t, j.held || held || b.Member != s.Member || !later.full(), "none that would be full is written to: %+v, %+v", b, s)
				}
			}
			for _, s := range last {
				assert.True(t, j.held || !s.full(), "nor one that was last read as full: %+v", s)
			}
			assert.True(t, j.held || !held || len(r.Unread) == 0, "what is held waits for all members")
			before = r.Members
		}
	})
}
