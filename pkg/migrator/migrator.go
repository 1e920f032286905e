// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package migrator sets a migration to work on a cluster: it chooses the engine, the way to each kube-apiserver and the
// canaries, keeps an eye on etcd's room, and tells what happens. How objects are rewritten is for the engines to know,
// packages migrate and svm.
//
// A caller has seen to it that every instance has proven that it writes with the write key: requests go to all of them.
package migrator

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/svm"
)

// Migrator migrates resources of one cluster, one after the other.
type Migrator struct {
	// Client asks whichever kube-apiserver the kubeconfig leads to: for counts and baselines.
	migrate.Client

	cluster  *kube.Cluster
	reacher  *controlplane.Reacher
	settings Settings
	run      string
	emit     event.Sink
	// told is what was said and need not be said again.
	told map[string]bool
	// ways are the clients that write, by the pod of their instance; empty for whichever the kubeconfig leads to.
	ways map[string]migrate.Client
}

// New makes a migrator for the run of the given name. It sends no request.
func New(c *kube.Cluster, reacher *controlplane.Reacher, s Settings, run string, emit event.Sink) *Migrator {
	return &Migrator{
		Client: migrate.NewMetadataClient(c.Metadata), cluster: c, reacher: reacher, settings: s, run: run, emit: oneAtATime(emit),
		told: map[string]bool{}, ways: map[string]migrate.Client{},
	}
}

// oneAtATime is the sink for the engine and the watch on etcd, which know nothing of each other.
func oneAtATime(emit event.Sink) event.Sink {
	var mu sync.Mutex
	return func(e event.Event) {
		mu.Lock()
		defer mu.Unlock()
		emit(e)
	}
}

// Resource is a served resource in the engines' words.
func Resource(r kube.Resource) migrate.Resource {
	return migrate.Resource{GVR: r.GVR, Kind: r.Kind, Namespaced: r.Namespaced}
}

// Migrate rewrites every object of a resource that is not later than the baseline. The report is what was done by then,
// also with an error.
func (m *Migrator) Migrate(
	ctx context.Context, cp *controlplane.ControlPlane, res kube.Resource, baseline string,
) (migrate.Report, error) {
	watch := m.watchRoom(ctx, cp)
	defer watch.stop()
	options := migrate.Options{
		Baseline: baseline, Concurrency: m.settings.Concurrency, MaxRate: m.settings.MaxRate,
		MaxFailures: m.settings.MaxFailures, Hold: watch.Hold, Canary: m.warnOfCanary, PatchType: m.kind(ctx, cp, res),
		CanaryNamespaces: m.canaries(ctx, res),
		Progress:         func(p migrate.Progress) { m.emit(Progress(res.Name(), p)) },
	}
	client, err := m.writer(ctx, cp)
	if err != nil {
		return migrate.Report{Resource: Resource(res), Baseline: baseline}, err
	}
	if m.settings.Engine == SVM {
		return svm.Run(ctx, m.cluster.Typed, client, Resource(res), svm.Options{
			Baseline: baseline, Run: m.run, Migrate: options, Progress: options.Progress,
			Notice: func(text string) { m.emit(event.Notice{Text: text}) },
		})
	}
	m.mentionOthers(ctx, res)
	// A migration waits for the servers most of the time. On one processor it takes a fifth less time of it, since no
	// other has to be woken for an answer; one is enough for some 4,000 objects a second (test/bench).
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	return migrate.Run(ctx, client, Resource(res), options)
}

// kind is the kind of no-op for a resource, by the size that kube-apiserver tells of its objects (1.34 and later). Its
// metrics may have tens of MB, so they are read only where it depends on them.
func (m *Migrator) kind(ctx context.Context, cp *controlplane.ControlPlane, res kube.Resource) types.PatchType {
	if m.settings.Engine == SVM || !migrate.Bounded(Resource(res)) {
		return types.ApplyPatchType
	}
	stored, err := m.stored(ctx, cp)
	if err != nil {
		return types.ApplyPatchType
	}
	return migrate.KindFor(Resource(res), stored.Demand(res.GVR.GroupResource()).Mean())
}

// writer is a client for many writes, spread over all instances. Where there is but one, it is the one that the
// kubeconfig leads to.
func (m *Migrator) writer(ctx context.Context, cp *controlplane.ControlPlane) (migrate.Client, error) {
	if len(cp.Instances) < 2 {
		return m.way("", m.cluster.Config)
	}
	routes := make([]*rest.Config, len(cp.Instances))
	var wg sync.WaitGroup
	for i, in := range cp.Instances {
		if m.ways[in.Pod] == nil {
			wg.Go(func() { routes[i], _ = m.reacher.Route(ctx, in) })
		}
	}
	wg.Wait()
	clients := make([]migrate.Client, len(cp.Instances))
	for i, in := range cp.Instances {
		client, err := m.way(in.Pod, routes[i])
		if err != nil {
			return nil, err
		}
		clients[i] = client
	}
	return migrate.Spread(clients...), nil
}

// way is the client of a pod's instance, made when it is first asked for.
func (m *Migrator) way(pod string, config *rest.Config) (migrate.Client, error) {
	if client := m.ways[pod]; client != nil {
		return client, nil
	}
	client, err := migrate.NewClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	m.ways[pod] = client
	return client, nil
}

// Progress is an engine's progress as an event.
func Progress(name string, p migrate.Progress) event.MigrationProgress {
	left := -1.0
	if p.Rate > 0 && p.Total >= p.Done && p.Total > 0 {
		left = float64(p.Total-p.Done) / p.Rate
	}
	return event.MigrationProgress{
		Resource: name, Done: p.Done, Total: p.Total, Migrated: p.Migrated, Failed: p.Failed, Rate: p.Rate, Left: left,
		Workers: p.Workers, Held: p.Held,
	}
}
