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
	// stages are those that runs have to come to, at the least. There may be others: what a run finds done it does not do again.
	stages []string
	// ended requires what the command promises of its end.
	ended func(t *testing.T)
	// restarts: kube-apiservers restart on the way, and who goes on does so when they serve.
	restarts bool
	// interrupted: runs are interrupted, and end so.
	interrupted bool
}

func again(command string) []string { return []string{command, "--resume", "--yes"} }

// rotation is a rotation with further flags, for its first run and for those that go on with it. Each run that is disturbed has its
// record by then, so who goes on never finds that there is nothing to go on with before another key writes.
func (c trial) rotation(t *testing.T, flags ...string) course {
	t.Helper()
	return course{
		begin: append([]string{"rotate", "--yes"}, flags...), again: append(again("rotate"), flags...), ended: c.toAnotherKey(t),
		stages: append(c.fileStages(), "settle", "migrate", "verify", "close"),
	}
}

// fileStages are those of a rotation that change files: two, or one where no other kube-apiserver has to read the key before it writes.
func (c trial) fileStages() []string {
	if len(c.nodes) == 1 {
		return []string{"add-write-key"}
	}
	return []string{"add-read-key", "promote"}
}

// toAnotherKey begins before a rotation. The function that it returns requires that the rotation came to its end: that everything is as
// survived requires it, and is so under another key.
func (c trial) toAnotherKey(t *testing.T) (ended func(t *testing.T)) {
	t.Helper()
	before := c.writeKey(t)
	return func(t *testing.T) {
		t.Helper()
		assert.NotEqual(t, before, c.writeKey(t), "another key writes than before the rotation")
		c.survived(t)
	}
}

// everyMoment brings a command to its end and disturbs each run whenever it comes to a moment that no run before has come to. Which
// moments there are is told by the program's own events and by the files on the nodes, so a new step needs no word here.
func (c trial) everyMoment(t *testing.T, way course, disturb func(t *testing.T, p *process)) {
	t.Helper()
	const most = 80
	m := moments{met: map[string]bool{}, stepsAlone: !c.full}
	args, killed := way.begin, -1
	codes := []int{0, 1, 124, killed}
	if way.interrupted {
		codes = append(codes, interruptedExit)
	}
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
			told(t, code, p.stderr.String())
		}
		require.Contains(t, codes, code)
		if way.restarts {
			c.awaitCalm(t)
		}
		if code == 0 && (way.through == nil || way.through(t)) {
			assert.Subset(t, m.stages, way.stages, "stages in which a run was disturbed")
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
	// stages are those of the moments, each as often as it had one.
	stages []string
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
			m.stages = append(m.stages, m.stage)
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

// disturbed has the first run of a rotation end by itself, and goes on where it did not come to its end and nothing is in the way any
// more. A run that failed before it had begun anything says so, and the rotation is begun anew: there is nothing to go on with.
func (c trial) disturbed(t *testing.T, p *process) (code int) {
	t.Helper()
	code = p.wait(t)
	t.Logf("exit code %d: %s", code, &p.stderr)
	require.Contains(t, []int{0, 1, 124}, code)
	told(t, code, p.stderr.String())
	switch {
	case code == 0:
	case unbegun.MatchString(p.stderr.String()):
		c.succeed(t, "rotate", "--yes")
	default:
		c.succeed(t, again("rotate")...)
	}
	return code
}

var (
	// unbegun finds that a command has failed before it has changed anything, its own record included.
	unbegun = regexp.MustCompile(`(?m)^  (state: nothing was changed|stage: .+ \(nothing was changed\))$`)
	// standing finds whether it is safe to leave everything as it is, and wayOn what to type next.
	standing = regexp.MustCompile(`(?m)^  (state: .+|stage: .+ \(.+\))$`)
	wayOn    = regexp.MustCompile(`(?m)^  hint:  .*kubectl encryption (--.+ )?[a-z]+`) // flags say which cluster is meant
)

// told requires of a run that failed that it says how things stand and, unless nothing was changed, by which command of ours to go on.
func told(t *testing.T, code int, stderr string) {
	t.Helper()
	if code == 0 {
		return
	}
	assert.Regexp(t, standing, stderr, "whether it is safe to stop here")
	if !unbegun.MatchString(stderr) {
		assert.Regexp(t, wayOn, stderr, "what to type next")
	}
}

// refuse is the cluster's, of a run that says how things stand.
func (c trial) refuse(t *testing.T, says []string, args ...string) {
	t.Helper()
	r := c.cluster.refuse(t, says, args...)
	told(t, r.code, r.stderr)
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
