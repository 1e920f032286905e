// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package measure takes one slice: it makes everything stale, has one peer store it again, and sees to it that the
// peer did.
package measure

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/machine"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/peer"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/probe"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/rig"
)

// Spec is a peer as it is compared.
type Spec struct {
	// Name in the results; several specs may be the same peer with other settings.
	Name string
	Job  peer.Job
	// Foreground has the foreground send its requests meanwhile.
	Foreground bool
}

// Taken is a slice, and what the foreground felt of it where it was asked for.
type Taken struct {
	result.Slice

	Foreground probe.Latencies
}

// Meter measures on one rig.
type Meter struct {
	Rig      *rig.Rig
	Programs rig.Programs
	// Dir is for what the peers keep.
	Dir string
	// Profiles is the folder for a processor profile of each peer's last slice; empty for none. A process that is
	// profiled is slower by a little.
	Profiles string
	// Others are further processes of the benchmark, whose processor time is not foreign.
	Others []int
}

// Slice has one peer store the dataset again. What makes the slice void is in it; an error ends the benchmark.
func (m *Meter) Slice(ctx context.Context, d rig.Dataset, spec Spec) (Taken, error) {
	taken := Taken{Slice: result.Slice{Dataset: d.Name, Peer: spec.Name, Objects: d.Objects}}
	if err := m.Rig.Flip(ctx); err != nil {
		return taken, err
	}
	before, err := m.Rig.Versions(ctx)
	if err != nil {
		return taken, err
	}
	failed, err := m.take(ctx, spec, &taken)
	if err != nil {
		return taken, err
	}
	if failed != nil {
		taken.Void = failed.Error()
		return taken, nil //nolint:nilerr // that a peer fails is a result
	}
	taken.Void, err = m.verify(ctx, d, before)
	return taken, err
}

// take runs the peer, with the foreground if it is asked for. How the peer failed is the first error.
func (m *Meter) take(ctx context.Context, spec Spec, taken *Taken) (failed, err error) {
	stop := func() error { return nil }
	if spec.Foreground {
		f, err := m.StartForeground(ctx)
		if err != nil {
			return nil, err
		}
		stop = func() (err error) {
			taken.Foreground, err = m.StopForeground(f)
			return err
		}
	}
	start, err := m.usage()
	if err != nil {
		return nil, err
	}
	r, failed := m.run(ctx, taken.Dataset, spec)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	end, err := m.usage()
	if err != nil {
		return nil, err
	}
	start.fill(&taken.Slice, end, r)
	return failed, stop()
}

func (m *Meter) run(ctx context.Context, dataset string, spec Spec) (ran, error) {
	if spec.Job.Peer == peer.Kubectl {
		return runPipeline(ctx, m.Programs.Kubectl, m.Rig.Kubeconfig, filepath.Join(m.Dir, "home"))
	}
	job := spec.Job
	job.Kubeconfig, job.Etcd = m.Rig.Kubeconfig, m.Rig.Endpoint
	if m.Profiles != "" {
		job.Profile = filepath.Join(m.Profiles, dataset+"-"+spec.Name+".pprof")
	}
	return runPeer(ctx, m.Programs.Bench, job)
}

// verify says why a slice is void, or nothing: every object has another resourceVersion, and no stored value begins
// otherwise than those of the write key do.
func (m *Meter) verify(ctx context.Context, d rig.Dataset, before map[string]string) (string, error) {
	after, err := m.Rig.Versions(ctx)
	if err != nil {
		return "", err
	}
	same := 0
	for name, version := range before {
		if after[name] == version {
			same++
		}
	}
	if len(before) != d.Objects || len(after) != d.Objects || same > 0 {
		return fmt.Sprintf("of %d objects there were %d before and %d after, and %d were not written",
			d.Objects, len(before), len(after), same), nil
	}
	all, others, err := m.Rig.Stored(ctx, d)
	if err != nil {
		return "", err
	}
	if all != d.Objects || others > 0 {
		return fmt.Sprintf("of %d objects in etcd, %d are not stored with the write key", all, others), nil
	}
	return "", nil
}

// usage is what had been used at one moment.
type usage struct {
	at                           time.Time
	load                         machine.Load
	apiserver, etcd, kcm, others time.Duration
}

func (m *Meter) usage() (usage, error) {
	u := usage{at: time.Now()}
	var err error
	if u.load, err = machine.ReadLoad(); err != nil {
		return usage{}, err
	}
	for _, p := range []struct {
		pid  int
		into *time.Duration
	}{
		{m.Rig.PIDs.APIServer, &u.apiserver},
		{m.Rig.PIDs.Etcd, &u.etcd},
		{m.Rig.PIDs.ControllerManager, &u.kcm},
		{os.Getpid(), &u.others},
	} {
		if *p.into, err = machine.CPU(p.pid); err != nil {
			return usage{}, err
		}
	}
	for _, pid := range m.Others {
		cpu, err := machine.CPU(pid)
		if err != nil {
			return usage{}, err
		}
		u.others += cpu
	}
	return u, nil
}

// fill writes down what was used from here to end.
func (u usage) fill(slice *result.Slice, end usage, r ran) {
	wall := end.at.Sub(u.at)
	slice.Wall, slice.Work, slice.Wait = wall.Seconds(), r.outcome.Work, r.outcome.Wait
	if slice.Work == 0 {
		slice.Work = slice.Wall
	}
	slice.CPU = result.CPU{
		Client: r.cpu.Seconds(), APIServer: (end.apiserver - u.apiserver).Seconds(), Etcd: (end.etcd - u.etcd).Seconds(),
		ControllerManager: (end.kcm - u.kcm).Seconds(),
	}
	slice.Peak, slice.Workers, slice.LastRate = r.peak, r.outcome.Workers, r.outcome.Rate
	capacity := wall.Seconds() * float64(runtime.NumCPU())
	known := slice.CPU.Total() + (end.others - u.others).Seconds()
	slice.Foreign = max(0, (end.load.Busy-u.load.Busy).Seconds()-known) / capacity
	slice.Steal = (end.load.Steal - u.load.Steal).Seconds() / capacity
	slice.Load1 = end.load.Average1
}
