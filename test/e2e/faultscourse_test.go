// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && faults

package e2e

import (
	"maps"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// course is a command as the suite disturbs it: from its beginning to what it is for, by as many runs as that takes.
type course struct {
	begin, again []string
	// through tells of a run that ended well whether it has brought the command to its end; if not, it is begun anew. nil: it has.
	through func(t *testing.T) bool
	// ended requires what the command promises of its end.
	ended func(t *testing.T)
	// restarts: kube-apiservers restart on the way, and who goes on does so when they serve.
	restarts bool
}

func again(command string) []string { return []string{command, "--resume", "--yes"} }

// rotation is a rotation with further flags, for its first run and for those that go on with it.
func (c trial) rotation(flags ...string) course {
	return course{
		begin: append([]string{"rotate", "--yes"}, flags...), again: append(again("rotate"), flags...), ended: c.survived,
	}
}

// everyMoment brings a command to its end and disturbs each run whenever it comes to a moment that no run before has come to. Which
// moments there are is told by the program's own events and by the files on the nodes, so a new step needs no word here.
func (c trial) everyMoment(t *testing.T, way course, disturb func(t *testing.T, p *process)) {
	t.Helper()
	const most = 80
	m := moments{met: map[string]bool{}, stepsAlone: !c.full}
	args, killed := way.begin, -1
	for range most {
		p := c.begin(t, args...)
		for moment, ok := m.next(t, c, p); ok; moment, ok = m.next(t, c, p) {
			c.row.Tried++
			t.Logf("%s %v: %s", time.Now().Format(time.TimeOnly), args, moment)
			disturb(t, p)
		}
		code := p.wait(t)
		if code != killed {
			t.Logf("exit code %d: %s", code, &p.stderr)
		}
		require.Contains(t, []int{0, 1, 124, killed}, code)
		if way.restarts {
			c.awaitCalm(t)
		}
		if code == 0 && (way.through == nil || way.through(t)) {
			way.ended(t)
			return
		}
		if args = way.again; code == 0 {
			args = way.begin
		}
	}
	require.Fail(t, "the moments come to an end", "%v", m.met)
}

// moments are where runs of a command have been, one after the other.
type moments struct {
	met map[string]bool
	// stepsAlone: the beginnings of steps are enough, which they are in the short set.
	stepsAlone bool
	// done is the stage that was done last, before the one before it, stage the one that was begun last.
	done, before, stage string
	files               map[string]string
	run                 *process
}

// next waits until a run comes to where none has been: to the beginning of a step, into the middle of a migration, or to where a file
// of a node was just replaced, while others of the same push were not. It is false when the run has ended.
func (m *moments) next(t *testing.T, c trial, p *process) (moment string, ok bool) {
	t.Helper()
	if m.run != p {
		m.run, m.files = p, c.digests(t)
	}
	const often = 4 * time.Millisecond
	ticker := time.NewTicker(often)
	defer ticker.Stop()
	for {
		select {
		case e, more := <-p.events:
			if !more {
				return "", false
			}
			p.seen = append(p.seen, e)
			moment = m.of(e)
		case <-ticker.C:
			moment = m.ofFiles(t, c)
		}
		if moment != "" && !m.met[moment] {
			m.met[moment] = true
			return moment, true
		}
	}
}

func (m *moments) ofFiles(t *testing.T, c trial) string {
	t.Helper()
	if m.stepsAlone {
		return ""
	}
	files := c.digests(t)
	if maps.Equal(files, m.files) {
		return ""
	}
	m.files = files
	return "a file is replaced in " + m.stage
}

// changing is what differs between two steps of one kind.
var changing = regexp.MustCompile(`\bn?[0-9]+\b`)

func (m *moments) of(e event) string {
	switch e.Event {
	case "step-started":
		m.stage = e.Stage
		after := m.done
		if after == e.Stage { // a run that goes on does it once more
			after = m.before
		}
		return "after " + after + " begins " + e.Stage + ": " + changing.ReplaceAllString(e.Text, "#")
	case "step-done":
		if m.done != e.Stage {
			m.before, m.done = m.done, e.Stage
		}
	case "migration-progress":
		if e.Done > 0 && !m.stepsAlone {
			return "some of " + e.Resource + " are migrated"
		}
	}
	return ""
}

// kill ends a run as a crash would, and takes away the Lease that it held. Whoever goes on would watch it for 20 s first, which the
// first one does.
func (c trial) kill(t *testing.T, p *process) {
	t.Helper()
	p.kill(t)
	if c.row.Tried > 1 {
		c.forgetLock(t)
	}
}

// survived takes note that all tries of the case so far have ended as they should: the cluster is as a rotation leaves it that
// nothing disturbed. That its objects can be read is for the witness to say, who still writes to them.
func (c trial) survived(t *testing.T) {
	t.Helper()
	c.checkLoaded(t)
	c.checkStored(t, c.writeKey(t))
	c.checkNothingLeft(t)
	for _, n := range c.nodes {
		n.checkFiles(t)
	}
	c.checkHealthyStatus(t)
	c.survivedSoFar(t)
}

func (c trial) survivedSoFar(t *testing.T) {
	t.Helper()
	if !t.Failed() {
		c.row.Survived = c.row.Tried
	}
}

// disturbed has a run of a rotation end by itself, and goes on with it where it did not come to its end and nothing is in the way
// any more.
func (c trial) disturbed(t *testing.T, p *process) {
	t.Helper()
	code := p.wait(t)
	t.Logf("exit code %d: %s", code, &p.stderr)
	require.Contains(t, []int{0, 1, 124}, code)
	if code != 0 {
		c.succeed(t, again("rotate")...)
	}
}

// keysEverywhere are the secrets of all keys that any node has, in its file or in its history.
func (c trial) keysEverywhere(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, n := range c.nodes {
		for _, secret := range n.history(t) {
			all[secret] = true
		}
		for _, found := range secretPattern.FindAllStringSubmatch(string(n.readIfThere(t)), -1) {
			all[found[1]] = true
		}
	}
	return all
}

// checkNoKeyLost requires that every node's file has keys that were anywhere before.
func (c trial) checkNoKeyLost(t *testing.T, before map[string]bool) {
	t.Helper()
	for _, n := range c.nodes {
		file := string(n.read(t))
		for secret := range before {
			assert.Contains(t, file, secret, "a key is lost on %s", n.name)
		}
	}
}
