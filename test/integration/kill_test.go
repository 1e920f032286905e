// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"context"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// One kube-apiserver of three dies in the middle of a migration and comes back before its end: what it was asked is asked
// again, of others, and nobody's write is lost or done twice.
func TestMigrationUnderWritersWhileAKubeAPIServerDies(t *testing.T) {
	underWriters(t, "outage", func(t *testing.T) migrate.Options {
		return migrate.Options{Hold: newOutage(t, 2, phases{before: 50, dying: 30, dead: 70}).hold}
	})
}

// The only kube-apiserver that a migration knows dies and comes back. The writes wait for it, and are its first requests: as long
// as it has not read the roles and their bindings, it forbids what it will allow a moment later.
func TestAKubeAPIServerThatForbidsWhileItStarts(t *testing.T) {
	ns := namespace(t, "starting")
	fill(t, configMaps, ns, 150)
	key := bare.rotate(t, "aesgcm")
	client := user("integration:migrator-of-one").migrator(t, bare.APIServers[1].Kubeconfig)
	report, err := migrate.Run(t.Context(), client, configMaps, migrate.Options{
		Baseline: baseline(t, configMaps), Concurrency: 16, Hold: newOutage(t, 2, phases{before: 50, dead: 1}).hold,
	})
	require.NoError(t, err)
	t.Logf("%+v", report)
	assert.True(t, report.Complete)
	assert.Zero(t, report.Failed)
	bare.requireAllStoredWith(t, key, configMaps)
}

// outage is a kube-apiserver that dies and comes back, in step with the writes of a migration and not with time.
type outage struct {
	t        *testing.T
	number   string
	instance *instance

	phases                  phases
	writes                  atomic.Int64
	killed, enough, started chan struct{}
	over                    sync.WaitGroup
}

// phases are how many writes begin before a kube-apiserver is killed, how many more while that happens, and how many more
// while it is dead. All others begin when it takes connections again, the first of them while it is only starting.
type phases struct{ before, dying, dead int64 }

// newOutage is an outage of the kube-apiserver of a number. It is over at the end of the test, also if it did not come to it.
func newOutage(t *testing.T, number int, p phases) *outage {
	t.Helper()
	o := &outage{
		t: t, number: strconv.Itoa(number), instance: bare.APIServers[number-1], phases: p,
		killed: make(chan struct{}), enough: make(chan struct{}), started: make(chan struct{}),
	}
	t.Cleanup(func() {
		o.over.Wait()
		o.start()
		assert.Greater(t, o.writes.Load(), p.before+p.dying+p.dead, "the kube-apiserver died and came back in the middle")
	})
	return o
}

// hold is asked before each write.
func (o *outage) hold(ctx context.Context) error {
	p, n := o.phases, o.writes.Add(1)
	switch n {
	case p.before:
		o.over.Go(o.happen)
	case p.before + p.dying + p.dead:
		close(o.enough)
	}
	switch {
	case n > p.before+p.dying+p.dead:
		return o.await(ctx, o.started)
	case n > p.before+p.dying:
		return o.await(ctx, o.killed)
	default:
		return nil
	}
}

func (o *outage) await(ctx context.Context, event <-chan struct{}) error {
	select {
	case <-event:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (o *outage) happen() {
	ctx := o.t.Context()
	assert.NoError(o.t, harness(ctx, "bare", "kill-apiserver", o.number, "--dir", bare.dir))
	close(o.killed)
	if o.await(ctx, o.enough) != nil {
		return
	}
	o.over.Go(o.start)
	err := wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		return o.instance.takesConnections(ctx), nil
	})
	assert.NoError(o.t, err, "%s takes no connections", o.instance.Name)
	close(o.started)
}

// start returns when the kube-apiserver is ready, at once if it is. One that ends while it starts (some of its first steps
// may not fail) is started again, as a kubelet does.
func (o *outage) start() {
	ctx := context.WithoutCancel(o.t.Context())
	err := wait.PollUntilContextTimeout(ctx, time.Second, time.Minute, true, func(ctx context.Context) (bool, error) {
		err := harness(ctx, "bare", "start-apiserver", o.number, "--dir", bare.dir)
		if err != nil {
			o.t.Logf("%s: %v\n%s", o.instance.Name, err, o.instance.lastWords())
		}
		return err == nil, nil
	})
	assert.NoError(o.t, err)
}

// lastWords are the lines by which a kube-apiserver says why it ended.
func (in *instance) lastWords() string {
	data, err := os.ReadFile(in.Log)
	if err != nil {
		return err.Error()
	}
	var words []string
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "F") || strings.HasPrefix(line, "panic") || strings.HasPrefix(line, "Error:") || strings.Contains(line, "command failed") {
			words = append(words, line)
		}
	}
	return strings.Join(words, "")
}

func (in *instance) takesConnections(ctx context.Context) bool {
	address, err := url.Parse(in.URL)
	if err != nil {
		return false
	}
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address.Host)
	if err != nil {
		return false
	}
	_ = connection.Close()
	return true
}
