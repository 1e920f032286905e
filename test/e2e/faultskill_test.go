// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && faults

package e2e

import (
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// nodeFaults are the cases by name.
func nodeFaults() map[string]func(*testing.T, trial) {
	return map[string]func(*testing.T, trial){
		"SIGKILL at every step of rotate": func(t *testing.T, c trial) {
			c.killEverywhere(t, append(again("rotate"), "--keep=2"), "rotate", "--yes", "--keep=2")
		},
		"SIGKILL at every step of migrate": killMigrate,
		"SIGKILL at every step of disable and enable": func(t *testing.T, c trial) {
			c.killEverywhere(t, again("disable"), "disable", "--yes")
			c.killEverywhere(t, again("enable"), "enable", "--yes")
			c.survived(t)
		},
		"SIGKILL at every step of disable and enable, flags included": func(t *testing.T, c trial) {
			c.killEverywhere(t, again("disable"), "disable", "--remove-flags", "--yes")
			c.killEverywhere(t, again("enable"), "enable", "--yes")
			c.survived(t)
		},
		"four operators at once":                             fourOperators,
		"an operator's machine that sleeps in the migration": sleeper,

		"a network that fails again and again":                      badNetwork,
		"every connection cut at every step":                        cutEverywhere,
		"credentials that end at every step":                        endOfCredentials,
		"a server's clock that is an hour ahead, and behind":        wrongServerClock,
		"the agents' pods are deleted while they work":              evicted,
		"the agents' Jobs are removed as soon as they are there":    removed,
		"a node that is cordoned and tainted NoExecute":             cordoned,
		"kube-system enforces the restricted Pod Security Standard": restrictedPods,
		"a read-only folder":                                        readOnly,
		"a folder without room":                                     fullHistory,
		"a permission that is taken away in the middle":             withoutPermission,
		"the etcd of a node stands still for 20 s":                  etcdStill,
		"a kube-apiserver that is killed at every step":             serverKilled,
		"agents that say what no agent says":                        hostile,
		"an operator's clock that is an hour ahead, and behind":     wrongClock,
		"what others left in the folder":                            planted,
	}
}

func again(command string) []string { return []string{command, "--resume", "--yes"} }

// killEverywhere runs a command, and goes on with it, and kills each run at the first event that no run before has come to: at the
// beginning of each step, and in the full set at its end and in the middle of a migration too. Which steps there are is
// told by the program's own events, so a new one needs no word here.
func (c trial) killEverywhere(t *testing.T, again []string, args ...string) {
	t.Helper()
	const most = 80
	met := map[string]bool{}
	for c.row.Tried < most {
		p := c.begin(t, args...)
		e, ok := p.until(func(e event) bool {
			kind := e.Event == "step-started" || c.full && (e.Event == "step-done" || e.Event == "migration-progress")
			key := e.Event + " " + e.Stage + " " + numberPattern.ReplaceAllString(e.Text, "#")
			isNew := kind && !met[key]
			met[key] = met[key] || isNew
			return isNew
		})
		if !ok {
			require.Zero(t, p.wait(t), "%s", &p.stderr)
			if args[0] != "disable" {
				c.survived(t)
			}
			return
		}
		p.kill(t)
		if c.row.Tried > 0 {
			c.forgetLock(t)
		}
		c.row.Tried++
		t.Logf("killed at %s %s: %s", e.Event, e.Stage, e.Text)
		if args[0] == "enable" || args[0] == "disable" {
			c.awaitCalm(t) // who goes on does so when the kube-apiservers serve
		}
		args = again
	}
	require.Less(t, c.row.Tried, most, "the steps come to an end")
}

// forgetLock takes away the Lease of a run that was killed. Whoever goes on would watch it for 20 s first, which the first one
// does.
func (c trial) forgetLock(t *testing.T) {
	t.Helper()
	err := c.client.CoordinationV1().Leases(systemNamespace).Delete(t.Context(), ourName, metav1.DeleteOptions{})
	if !apierrors.IsNotFound(err) {
		require.NoError(t, err)
	}
}

func killMigrate(t *testing.T, c trial) {
	c.succeed(t, "rotate", "--yes")
	c.killEverywhere(t, []string{"migrate", "--resources", "secrets,configmaps"}, "migrate", "--resources", "secrets,configmaps")
}

// fourOperators rotate at the same time. One at least gets through, and who does not is told why, and has changed nothing:
// the number of keys says how many did.
func fourOperators(t *testing.T, c trial) {
	const operators = 4
	before := len(c.nodes[0].keys(t))
	results := make([]result, operators)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() { results[i], _ = c.run(t.Context(), "rotate", "--yes") })
	}
	wg.Wait()
	through := 0
	for _, r := range results {
		c.row.Tried++
		if r.code == 0 {
			through++
			continue
		}
		t.Log(r.failure())
		assert.Equal(t, 1, r.code)
		assert.Contains(t, r.stderr, "another change is under way")
	}
	assert.Positive(t, through)
	assert.Len(t, c.nodes[0].keys(t), before+through, "each rotation that got through has made one key")
	c.survived(t)
}

// sleeper has an operator's machine sleep in the middle of a migration. Another operator takes over, and the first one, when it
// wakes, gives up.
func sleeper(t *testing.T, c trial) {
	c.row.Tried++
	first := c.begin(t, "rotate", "--yes", "--max-rate", "5")
	_, ok := first.until(func(e event) bool { return e.Event == "migration-progress" && e.Done > 1 })
	require.True(t, ok, "%s", &first.stderr)
	require.NoError(t, first.cmd.Process.Signal(syscall.SIGSTOP))
	c.succeed(t, "rotate", "--resume", "--yes")
	c.succeed(t, "rotate", "--yes")
	files := c.digests(t)
	require.NoError(t, first.cmd.Process.Signal(syscall.SIGCONT))
	assert.Equal(t, 1, first.wait(t), "%s", &first.stderr)
	t.Logf("%s", &first.stderr)
	assert.Contains(t, first.stderr.String(), "lock")
	assert.Equal(t, files, c.digests(t), "who wakes changes no file")
	c.survived(t)
}
