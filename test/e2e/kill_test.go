// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// killAtEveryStep rotates as often as a rotation has steps, kills each time at another one, and resumes.
func (c *cluster) killAtEveryStep(t *testing.T) {
	for number, last := 1, false; !last; number++ {
		passed := t.Run(fmt.Sprintf("step %d", number), func(t *testing.T) {
			before := c.writeKey(t)
			p := c.begin(t, "rotate", "--yes")
			e, ok := p.until(func(e event) bool { return e.Event == "step-started" && e.Number == number })
			require.True(t, ok, "%s", &p.stderr)
			p.kill(t)
			t.Logf("killed when step %d of %d began: %s", e.Number, e.Total, e.Stage)
			last = e.Number == e.Total
			c.succeed(t, "rotate", "--resume", "--yes")
			assert.NotEqual(t, before, c.checkSettled(t), "a new key writes after a kill at %q", e.Stage)
		})
		if !passed {
			return
		}
	}
}

// killInMigration kills the plugin when some objects are migrated and others are not.
func (c *cluster) killInMigration(t *testing.T) {
	before := c.writeKey(t)
	p := c.begin(t, "rotate", "--yes", "--max-rate", "10")
	_, ok := p.until(func(e event) bool { return e.Event == "migration-progress" && e.Done > 2 })
	require.True(t, ok, "%s", &p.stderr)
	p.kill(t)
	status := c.status(t)
	assert.False(t, status.Healthy, status.Summary)
	c.succeed(t, "rotate", "--resume", "--yes")
	assert.NotEqual(t, before, c.checkSettled(t))
	c.checkHealthyStatus(t)
}

// interrupt interrupts the plugin as Ctrl-C does, in the middle of the migration.
func (c *cluster) interrupt(t *testing.T) {
	before := c.writeKey(t)
	p := c.begin(t, "rotate", "--yes", "--max-rate", "10")
	_, ok := p.until(func(e event) bool { return e.Event == "migration-progress" && e.Done > 2 })
	require.True(t, ok, "%s", &p.stderr)
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	assert.Equal(t, 130, p.wait(t), "%s", &p.stderr)
	c.checkNothingLeft(t)
	c.succeed(t, "rotate", "--resume", "--yes")
	assert.NotEqual(t, before, c.checkSettled(t))
}

// killInPush kills the plugin as soon as the file of any node is replaced, in the step of a stage.
func (c *cluster) killInPush(t *testing.T, stage string) {
	t.Helper()
	p := c.begin(t, "rotate", "--yes")
	c.killWhenChanged(t, p, stage, fileOf)
	t.Logf("files are %v", c.digests(t))
}

// numberPattern finds the numbers of keys, and how many of something there are, in the text of a step.
var numberPattern = regexp.MustCompile(`\b[0-9]+\b`)

// disturbEveryStep runs a command, and resumes it, and each time disturbs it at the beginning of the first step of some
// stages that no run before has begun, until one comes to the end. disturb sees to the end of the run and gives its exit
// code.
func (c *cluster) disturbEveryStep(
	t *testing.T, command, stages []string, disturb func(t *testing.T, p *process, e event) int,
) (met []string) {
	t.Helper()
	const most = 60
	args, done, begun := slices.Concat(command, []string{"--yes"}), "", map[string]bool{}
	for {
		p := c.begin(t, args...)
		var step string
		e, ok := p.until(func(e event) bool {
			if e.Event == "step-done" {
				done = e.Stage
			}
			step = done + ", then " + e.Stage + ": " + numberPattern.ReplaceAllString(e.Text, "#")
			return e.Event == "step-started" && slices.Contains(stages, e.Stage) && !begun[step]
		})
		if !ok {
			require.Zero(t, p.wait(t), "%s", &p.stderr)
			return met
		}
		begun[step] = true
		met = append(met, e.Stage)
		if disturb(t, p, e) == 0 {
			return met
		}
		require.Less(t, len(met), most, "the steps come to an end: %v", met)
		args = []string{command[0], "--resume", "--yes"}
	}
}

// killEveryStep kills a command, and each run that resumes it, at every step of some stages. between is called after
// each kill.
func (c *cluster) killEveryStep(t *testing.T, command, stages []string, between func(t *testing.T, stage string)) {
	t.Helper()
	killed := c.disturbEveryStep(t, command, stages, func(t *testing.T, p *process, e event) int {
		p.kill(t)
		t.Logf("killed at %s: %s", e.Stage, e.Text)
		between(t, e.Stage)
		return -1
	})
	assert.Subset(t, killed, stages, "stages at which a run was killed")
}
