// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && faults

package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/test/faults/proxy"
)

// through gives a kubeconfig that leads through a proxy. It lets everything pass until it is told otherwise.
func (c trial) through(t *testing.T) (kubeconfig string, p *proxy.Proxy) {
	t.Helper()
	p, err := proxy.Start(c.config)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	folder := filepath.Join(t.TempDir(), `a; $(touch x) & 'b' "c"`) // nobody hands a path to a shell
	require.NoError(t, os.MkdirAll(folder, 0o700))
	path, err := p.Kubeconfig(folder)
	require.NoError(t, err)
	return "--kubeconfig=" + path, p
}

// badNetwork rotates while each request may meet with whatever can happen to it, and goes on after each failure in the
// same network.
func badNetwork(t *testing.T, c trial) {
	kubeconfig, p := c.through(t)
	p.Inject(
		proxy.Rule{Fault: proxy.TooMany(time.Second), Match: proxy.Plain, Every: 31},
		proxy.Rule{Fault: proxy.Answer(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "away"), Match: proxy.All(proxy.Plain, proxy.Writes), Every: 13},
		proxy.Rule{Fault: proxy.Lose(), Match: proxy.All(proxy.Plain, proxy.Writes), Every: 17},
		proxy.Rule{Fault: proxy.Half(), Match: proxy.Plain, Every: 53},
		proxy.Rule{Fault: proxy.Refuse(), Every: 41},
		proxy.Rule{Fault: proxy.Slow(200 * time.Millisecond), Every: 5},
	)
	before := c.writeKey(t)
	const most = 12
	begin := []string{"rotate", "--yes", kubeconfig}
	for args := begin; ; {
		c.row.Tried++
		run := c.begin(t, args...)
		code := run.wait(t)
		t.Logf("exit code %d: %s", code, &run.stderr)
		noLibraryLines(t, run)
		told(t, code, run.stderr.String())
		if code == 0 && c.writeKey(t) != before {
			break
		}
		require.Contains(t, []int{0, 1, 124}, code)
		if args = append(again("rotate"), kubeconfig); code == 0 {
			args = begin // there was nothing to go on with
		}
		require.Less(t, c.row.Tried, most, "who tries again and again gets there")
	}
	t.Logf("%v of %d requests", p.Happened(), p.Requests())
	assert.Greater(t, p.Faults(), 20, "faults that happened")
	c.survived(t)
}

// noLibraryLines requires that libraries do not write to the terminal past the program.
func noLibraryLines(t *testing.T, p *process) {
	t.Helper()
	for line := range strings.Lines(p.stderr.String()) {
		assert.NotRegexp(t, `^[EWIF]\d{4} `, line, "a line that no person asked for")
	}
}

// atEveryMoment rotates by way of a proxy, and does something to the network whenever a run comes to where none has been.
func (c trial) atEveryMoment(t *testing.T, do func(p *proxy.Proxy)) {
	t.Helper()
	kubeconfig, p := c.through(t)
	c.everyMoment(t, c.rotation(t, kubeconfig), func(t *testing.T, _ *process) {
		t.Helper()
		do(p)
	})
	assert.Positive(t, p.Requests())
}

func cutEverywhere(t *testing.T, c trial) {
	c.atEveryMoment(t, func(p *proxy.Proxy) { p.CutAll() })
}

// endOfCredentials has the API server refuse the operator from some step on, for good, and then serve the next one. It takes minutes until
// a command gives up, since a kube-apiserver that has just started refuses everybody; so it is not every step.
func endOfCredentials(t *testing.T, c trial) {
	kubeconfig, p := c.through(t)
	ended := c.toAnotherKey(t)
	args := []string{"rotate", "--yes", kubeconfig}
	for _, stage := range []string{"await", "migrate", "close"} {
		c.row.Tried++
		run := c.begin(t, args...)
		_, ok := run.until(func(e event) bool { return e.starts(stage) })
		require.True(t, ok, "%s", &run.stderr)
		p.Inject(proxy.Rule{Fault: proxy.Answer(http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized")})
		p.CutAll()
		assert.Equal(t, 1, run.wait(t), "nothing can be changed without credentials")
		t.Log(run.stderr.String())
		assert.Contains(t, run.stderr.String(), "Unauthorized")
		assert.Contains(t, run.stderr.String(), "rotate --resume")
		told(t, 1, run.stderr.String())
		p.Inject()
		c.forgetLock(t) // whose holder can't release it
		args = append(again("rotate"), kubeconfig)
	}
	c.succeed(t, args...)
	ended(t)
}

// wrongServerClock shows the operator another time than that of their machine.
func wrongServerClock(t *testing.T, c trial) {
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		c.row.Tried++
		kubeconfig, p := c.through(t)
		p.Inject(proxy.Rule{Fault: proxy.Clock(by), Match: proxy.Plain})
		ended := c.toAnotherKey(t)
		run := c.begin(t, "rotate", "--yes", kubeconfig)
		require.Zero(t, run.wait(t), "%s", &run.stderr)
		assert.Positive(t, p.Faults())
		ended(t)
	}
}
