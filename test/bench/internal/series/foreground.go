// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"context"
	"slices"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/measure"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/peer"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/probe"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/stats"
)

// foreground measures what others feel of a migration: the latency of a reader and a writer alone, and while each
// peer runs. The rates of that series are compared with the floor's of the same round, the foreground included.
func (r *Runner) foreground(ctx context.Context) error {
	m := r.Meter
	if err := m.Rig.PrepareForeground(ctx); err != nil {
		return err
	}
	if err := m.Rig.Fill(ctx, r.Scale.Foreground); err != nil {
		return err
	}
	specs := []measure.Spec{
		{Name: result.Idle},
		{Name: peer.Ours, Job: sized(peer.Ours, 0, r.Scale.Foreground), Foreground: true},
		{Name: "ours-16", Job: sized(peer.Ours, 16, r.Scale.Foreground), Foreground: true},
		{Name: "floor-32", Job: sized(peer.Floor, 32, r.Scale.Foreground), Foreground: true},
	}
	for round := 1; round <= r.Scale.ForegroundRounds; round++ {
		if err := m.Rig.Tidy(ctx); err != nil {
			return err
		}
		for _, i := range r.Random.Perm(len(specs)) {
			latencies, err := r.probe(ctx, round, specs[i])
			if err != nil {
				return err
			}
			r.Results.Probes = append(r.Results.Probes, result.Probe{
				Round: round, Peer: specs[i].Name, Reads: latencies.Reads, Writes: latencies.Writes,
			})
			all := slices.Concat(latencies.Reads, latencies.Writes)
			r.say("  round %2d  foreground with %-9s p50 %5.1f ms, p99 %5.1f ms of %d",
				round, specs[i].Name, stats.Median(all), stats.Quantile(all, 0.99), len(all))
		}
	}
	return nil
}

// probe measures the foreground during one slice, or alone.
func (r *Runner) probe(ctx context.Context, round int, spec measure.Spec) (probe.Latencies, error) {
	if spec.Foreground {
		taken, err := r.slice(ctx, result.SeriesForeground, round, r.Scale.Foreground, spec)
		return taken.Foreground, err
	}
	f, err := r.Meter.StartForeground(ctx)
	if err != nil {
		return probe.Latencies{}, err
	}
	if err := pause(ctx, r.Scale.Idle); err != nil {
		return probe.Latencies{}, err
	}
	return r.Meter.StopForeground(f)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
