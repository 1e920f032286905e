// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration && faults

package integration

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
	"github.com/kubectl-encryption/kubectl-encryption/test/faults/book"
	"github.com/kubectl-encryption/kubectl-encryption/test/faults/catalogue"
	"github.com/kubectl-encryption/kubectl-encryption/test/faults/proxy"
	"github.com/kubectl-encryption/kubectl-encryption/test/faults/witness"
)

// fault is one that a migration has to survive.
type fault struct {
	rules []proxy.Rule
	// meanwhile happens while the migration is under way, besides; it may be nil.
	meanwhile func(ctx context.Context, t *testing.T, p *proxy.Proxy)
	// least is how often the proxy has to have done something.
	least int
	// options changes those of the migration; it may be nil.
	options func(*migrate.Options)
	// failed: some objects are left behind, for the next run. says: the run ends early, and says so.
	failed bool
	says   string
}

// faulty are how many objects of each kind stand in the way of each fault.
const faulty = 100

// TestFaults migrates while something goes wrong between the migration and the kube-apiservers, or behind them. Each
// migration ends with all objects migrated, those of a witness among them, which says that nothing was lost.
func TestFaults(t *testing.T) {
	faults := map[string]fault{
		"429 without Retry-After": {rules: []proxy.Rule{{Fault: proxy.TooMany(0), Every: 4}}, least: 20},
		"429 with Retry-After": {
			rules: []proxy.Rule{{Fault: proxy.TooMany(time.Second), Every: 20, Times: 6}}, least: 6,
		},
		"503 and 504": {rules: []proxy.Rule{
			{Fault: proxy.Answer(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "away"), Every: 5},
			{Fault: proxy.Answer(http.StatusGatewayTimeout, metav1.StatusReasonTimeout, "too slow"), Every: 6},
		}, least: 20},
		"a connection that breaks before the request arrives": {rules: []proxy.Rule{{Fault: proxy.Refuse(), Every: 10}}, least: 10},
		"an answer that is lost after the write":              {rules: []proxy.Rule{{Fault: proxy.Lose(), Match: proxy.Writes, Every: 10}}, least: 10},
		"a connection that breaks in the middle of an answer": {rules: []proxy.Rule{{Fault: proxy.Half(), Every: 10}}, least: 10},
		"every connection cut, again and again":               {meanwhile: cutAll, least: 5, options: slowly},
		"answers that are slow":                               {rules: []proxy.Rule{{Fault: proxy.Slow(300 * time.Millisecond), Every: 3}}, least: 40},
		"requests that are never answered": {
			rules: []proxy.Rule{{Fault: proxy.Hang(), Match: proxy.Writes, Every: 20, Times: 2}}, least: 2, failed: true,
			options: func(o *migrate.Options) { o.ObjectTimeout = 2 * time.Second },
		},
		"a continue token that expires, and none to go on with": {
			rules: []proxy.Rule{{Fault: proxy.Expired(), Match: proxy.NextPages, Every: 3}}, least: 1,
			options: func(o *migrate.Options) { o.PageSize = 10 }, says: "too old to display a consistent list result",
		},
		"pages of HTML in place of answers": {rules: []proxy.Rule{{Fault: proxy.Page(), Every: 10}}, least: 10},
		"credentials that are refused for a moment": {rules: []proxy.Rule{
			{Fault: proxy.Answer(http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized"), Every: 23},
			{Fault: proxy.Answer(http.StatusForbidden, metav1.StatusReasonForbidden, "no"), Every: 29},
		}, least: 5},
		"all of that at once": {rules: []proxy.Rule{
			{Fault: proxy.Lose(), Match: proxy.Writes, Every: 11},
			{Fault: proxy.Half(), Every: 13},
			{Fault: proxy.Refuse(), Every: 17},
			{Fault: proxy.TooMany(0), Every: 7},
			{Fault: proxy.Page(), Every: 19},
			{Fault: proxy.Slow(100 * time.Millisecond), Every: 5},
		}, least: 40},
		"etcd without a leader for 20 s": {meanwhile: stopEtcd(20 * time.Second), options: slowly},
	}
	for _, c := range catalogue.Of(catalogue.Bare, os.Getenv(fullVariable) != "") {
		f, ok := faults[c.Name]
		require.True(t, ok, "the case %q of the catalogue is tried", c.Name)
		t.Run(c.Name, func(t *testing.T) { survive(t, c.Name, f) })
	}
	for name := range faults {
		require.True(t, catalogue.Has(catalogue.Bare, name), "the case %q is in the catalogue", name)
	}
}

// fullVariable asks for every case; without it there are those of the short set.
const fullVariable = "FAULTS_FULL"

func slowly(o *migrate.Options) { o.MaxRate = 80 }

func survive(t *testing.T, name string, f fault) {
	row := book.Row{Fault: name}
	defer func() { assert.NoError(t, book.Append(faultsFolder(), "bare", row)) }()
	ns := namespace(t, "faults")
	fill(t, secrets, ns, faulty)
	w := startWitness(t, ns+"-witness")
	defer func() {
		counts, err := w.End(t.Context())
		assert.NoError(t, err)
		t.Logf("%+v", counts)
		row.Add(counts)
		assert.Zero(t, counts.Wrong(), "%v", counts.Details)
		if !t.Failed() {
			row.Survived++
		}
	}()
	key := bare.rotate(t, "aesgcm")
	options := migrate.Options{Baseline: baseline(t, secrets)}
	if f.options != nil {
		f.options(&options)
	}

	config, err := load(bare.Kubeconfig)
	require.NoError(t, err)
	p, err := proxy.Start(config)
	require.NoError(t, err)
	defer p.Close()
	client, err := migrate.NewClientForConfig(p.Config())
	require.NoError(t, err)
	p.Inject(f.rules...)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	listen, done := once(func() {
		if f.meanwhile != nil {
			f.meanwhile(ctx, t, p)
		}
	})
	options.Progress = listen
	row.Tried = 1
	report, err := migrate.Run(t.Context(), client, secrets, options)
	cancel()
	done()
	t.Logf("%+v\nfaults: %v of %d requests", report, p.Happened(), p.Requests())
	if f.says == "" {
		require.NoError(t, err)
	} else {
		require.ErrorContains(t, err, f.says)
	}
	assert.GreaterOrEqual(t, p.Faults(), f.least, "faults that happened")
	assert.Equal(t, f.failed, report.Failed > 0, "objects that are left behind: %v", report.Reasons())
	assert.Equal(t, !f.failed && f.says == "", report.Complete)
	p.Inject()
	rest := migrateAll(t, secrets, migrate.Options{Baseline: options.Baseline})
	assert.True(t, rest.Complete, "the next run has no fault to meet")

	bare.requireAllStoredWith(t, key, secrets)
}

// startWitness begins to watch over objects of its own.
func startWitness(t *testing.T, namespace string) *witness.Witness {
	t.Helper()
	var instances []witness.Instance
	for _, in := range bare.APIServers {
		instances = append(instances, witness.Instance{Name: in.Name, Client: in.objects})
	}
	w, err := witness.Start(t.Context(), namespace, witness.Objects{Still: 6, Written: 9}, instances...)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, bare.typed.CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), namespace, metav1.DeleteOptions{}))
	})
	return w
}

// faultsFolder is where the rows go.
func faultsFolder() string { return filepath.Join(root, "_output", "faults") }

// cutAll cuts every connection five times.
func cutAll(ctx context.Context, _ *testing.T, p *proxy.Proxy) {
	const times, between = 5, 150 * time.Millisecond
	for range times {
		p.CutAll()
		if !elapse(ctx, between) {
			return
		}
	}
}

// stopEtcd has etcd stand still for a while, as a cluster of members does that has no leader.
func stopEtcd(d time.Duration) func(context.Context, *testing.T, *proxy.Proxy) {
	return func(ctx context.Context, t *testing.T, _ *proxy.Proxy) {
		t.Helper()
		pid := bare.Etcd.Process.PID
		if !assert.NoError(t, syscall.Kill(pid, syscall.SIGSTOP)) {
			return
		}
		defer func() { assert.NoError(t, syscall.Kill(pid, syscall.SIGCONT)) }()
		assert.True(t, elapse(ctx, d), "the migration does not end while etcd stands still")
	}
}

// elapse lets time pass. It is false if the context ended before.
func elapse(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
