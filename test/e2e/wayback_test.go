// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/wait"
)

// wayBack tries enable where it cannot work: what must not be asked for, kube-apiservers that do not come back, power
// cuts and full disks. It is for a cluster that ends with its tests.
func wayBack(t *testing.T, c *cluster) {
	c.seed(t)
	before := c.setting(t)
	t.Run("what can't be encrypted is refused", c.refuseEnable)
	for _, b := range c.breakdowns() {
		t.Run(b.name, func(t *testing.T) { c.comeBack(t, b) })
	}
	t.Run("enable works when the cause is gone, and after a power cut while the kube-apiserver restarts", func(t *testing.T) {
		c.cutPower(t, "enable", "--resume")
		c.checkEncrypted(t, both("aesgcm"))
	})
	t.Run("disable takes the flags out", func(t *testing.T) { c.removeFlags(t, before) })
	if c.env.depth >= inThorough {
		t.Run("enable that finds the disk full whenever it writes goes on when there is room", c.fillDisk)
	}
}

// breakdown is a reason why enable can't work on a node.
type breakdown struct {
	name string
	// begin brings the cause about before enable, edited when the manifest was edited; end takes it away when the old
	// manifest is back. Each may be nil.
	begin, edited, end func(t *testing.T)
	// unedited: the manifest can't even be edited.
	unedited bool
	// killed: the plugin is killed as soon as the manifest is edited.
	killed bool
	// says are parts of what the plugin has to say.
	says []string
	// limit is how long the kube-apiserver is given. Where its own words are asked for, it has to have the time for them.
	limit time.Duration
	// hides are secrets that nothing may show.
	hides func(t *testing.T) []key
}

// comeBack enables, and requires that the node is on its old manifest in time, with nothing lost and nothing left.
// Where the plugin is killed, its enable is there to be resumed.
func (c *cluster) comeBack(t *testing.T, b breakdown) {
	n := c.nodes[0]
	before := c.setting(t)
	call(t, b.begin)
	p := c.begin(t, "enable", "--yes", "--rollback-after", b.limit.String())
	if !b.unedited {
		n.awaitEdit(t, p, before.manifests[n.name])
		edited := time.Now()
		call(t, b.edited)
		if b.killed {
			p.kill(t)
		}
		n.awaitManifest(t, b.limit+time.Minute, before.manifests[n.name])
		t.Logf("the old manifest is back %s after the edit", time.Since(edited).Round(time.Second))
		call(t, b.end)
	}
	if !b.killed {
		assert.Equal(t, 1, p.wait(t), "%s", &p.stderr)
		t.Log(p.stderr.String())
		for _, part := range b.says {
			assert.Contains(t, p.stderr.String(), part)
		}
	}
	if b.unedited {
		call(t, b.end)
	}
	c.awaitCalm(t)
	assert.Equal(t, before, c.setting(t), "the old manifest is back, byte for byte")
	if b.killed {
		return // the next run has to see to what this one has left
	}
	c.checkCalm(t, both(plaintext))
	if b.hides != nil {
		c.checkHidden(t, p, b.hides(t))
	}
	c.succeed(t, "disable", "--yes", "--remove-flags") // takes back what enable has begun
	c.checkOff(t, before)
}

func call(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	if f != nil {
		f(t)
	}
}

// cutPower begins a command, takes the node its power when the manifest is edited, and brings the command to its end.
func (c *cluster) cutPower(t *testing.T, command ...string) {
	t.Helper()
	n := c.nodes[0]
	before := n.manifest(t)
	p := c.begin(t, append(command, "--yes")...)
	n.awaitEdit(t, p, before)
	edited := n.manifest(t)
	c.reboot(t, n)
	code := p.wait(t)
	t.Logf("the plugin ended with exit code %d: %s", code, &p.stderr)
	c.awaitCalm(t)
	require.Equal(t, edited, n.manifest(t), "a power cut is no reason to put the old manifest back")
	if code != 0 {
		c.succeed(t, command[0], "--resume", "--yes")
	}
}

// awaitLogOf waits until the container of the node's kube-apiserver has said something.
func (n *node) awaitLogOf(t *testing.T, something string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Second, waitLimit, true, func(context.Context) (bool, error) {
		return n.logs(t, something), nil
	})
	require.NoError(t, err, "the kube-apiserver says %q", something)
}
