// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrator

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdspace"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// CheckRoom refuses a migration of the resources that etcd has no room for. Where that can't be told it is said once,
// and refused is nothing.
func (m *Migrator) CheckRoom(ctx context.Context, cp *controlplane.ControlPlane, resources []kube.Resource) error {
	reader := m.roomReader()
	defer reader.Close()
	reading, err := reader.Read(ctx)
	if err != nil {
		return err
	}
	stored, err := m.stored(ctx, cp)
	if err != nil {
		return err
	}
	reading.File = stored.File
	demand, err := m.demand(ctx, stored, resources)
	if err != nil {
		return err
	}
	verdict := etcdspace.Decide(reading, demand, m.settings.MaxRate, window(cp))
	switch verdict.Outcome {
	case etcdspace.Refused:
		return &hint.Error{Err: errors.New(verdict.Reason), Hints: verdict.Hints}
	case etcdspace.NotKnown:
		m.once(verdict.Reason)
	case etcdspace.Fits:
	}
	return nil
}

// window is how long a value that was replaced may stay in etcd: two intervals of compaction, 0 if there is none.
func window(cp *controlplane.ControlPlane) time.Duration {
	interval, _ := cp.CompactionInterval()
	return 2 * interval
}

func (m *Migrator) roomReader() *etcdspace.Reader {
	return etcdspace.NewReader(m.cluster.Typed, controlplane.NewForwarder(m.cluster.Config, m.cluster.Typed))
}

// stored is what the first instance that answers tells of what etcd holds: all of them look at the same.
func (m *Migrator) stored(ctx context.Context, cp *controlplane.ControlPlane) (stored etcdspace.Stored, err error) {
	for _, in := range cp.Instances {
		err = m.reacher.Metrics(ctx, in, func(r io.Reader) (err error) {
			stored, err = etcdspace.ParseServer(r)
			return err
		})
		if err == nil || ctx.Err() != nil {
			return stored, err
		}
	}
	return stored, err
}

// demand is what a migration of the resources writes. The objects are counted, since kube-apiserver's count is not of
// this minute.
func (m *Migrator) demand(ctx context.Context, stored etcdspace.Stored, resources []kube.Resource) (etcdspace.Demand, error) {
	var all etcdspace.Demand
	for _, res := range resources {
		objects, err := migrate.Count(ctx, m, Resource(res))
		if err != nil {
			return all, err
		}
		all = all.Plus(stored.Demand(res.GVR.GroupResource()).Counted(objects))
	}
	return all, nil
}

// once tells something the first time that it is to be told.
func (m *Migrator) once(text string) {
	if m.told[text] {
		return
	}
	m.told[text] = true
	m.emit(event.Notice{Text: text})
}

// watched keeps an eye on etcd's room until it is stopped.
type watched struct {
	*etcdspace.Watch
	stop func()
}

func (m *Migrator) watchRoom(ctx context.Context, cp *controlplane.ControlPlane) watched {
	reader := m.roomReader()
	watch := etcdspace.NewWatch(reader.Read, window(cp), func(text string) {
		if m.settings.Engine == SVM {
			text = "the cluster's own controller can't be paused; for a migration by this program it would be: " + text
		}
		m.emit(event.Warning{Text: text})
	})
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { watch.Run(ctx) })
	return watched{watch, func() {
		cancel()
		running.Wait()
		reader.Close()
	}}
}
