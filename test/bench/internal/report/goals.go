// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/peer"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/series"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/stats"
)

// Goal is something that a migration is to reach, and what was measured of it.
type Goal struct {
	Text string
	// AtLeast tells that more is better, else less is.
	AtLeast bool
	Target  float64
	// Format of the target and the measured values, such as "%.1f×".
	Format   string
	Measured stats.Estimate
}

// Known tells that it was measured.
func (g Goal) Known() bool { return g.Measured.N > 0 }

// Met tells whether the median reaches the target.
func (g Goal) Met() bool {
	if g.AtLeast {
		return g.Measured.Median >= g.Target
	}
	return g.Measured.Median <= g.Target
}

// Ratios and shares are shown so.
const (
	times   = "%.2f×"
	percent = "%.1f %%"
	mib     = "%.1f MiB"
)

// Goals of a migration, with what a run has measured of them.
func Goals(results *result.Results) []Goal {
	return slices.Concat(speedGoals(results), costGoals(results), memoryGoals(results), foregroundGoals(results))
}

func speedGoals(results *result.Results) []Goal {
	small := Compare(results, result.SeriesRounds, series.SmallName)
	large := Compare(results, result.SeriesSizes, series.LargeName)
	var goals []Goal
	for _, g := range []struct {
		in     Comparison
		peer   string
		target float64
	}{
		{small, peer.Kubectl, 3},
		{small, peer.K3s, 2},
		{small, peer.KSVM, 2},
		{small, peer.SVM, 2},
		{small, peer.LibraryGo, 1.3},
		{large, peer.Kubectl, 8},
		{large, peer.LibraryGo, 3},
	} {
		goals = append(goals, Goal{
			Text: g.in.Dataset + ": speed over " + titleOf(g.peer).plain, AtLeast: true, Target: g.target, Format: times,
			Measured: g.in.find(g.peer).Slower,
		})
	}
	return goals
}

func (c Comparison) find(name string) Summary {
	for _, s := range c.Peers {
		if s.Peer == name {
			return s
		}
	}
	return Summary{}
}

func costGoals(results *result.Results) []Goal {
	r := roundsOf(results, result.SeriesRounds, series.SmallName)
	// How many times as long the floor's work takes is what share of the floor's speed is reached.
	speed := r.ratios("floor-16", "ours-16", func(s result.Slice) float64 { return s.Work })
	share := r.each(peer.Ours, func(s result.Slice) float64 {
		return 100 * s.CPU.Client / (s.CPU.Client + s.CPU.APIServer + s.CPU.Etcd)
	})
	return []Goal{
		{
			Text: "speed over the floor's, both with 16 writes in flight", AtLeast: true, Target: 0.92, Format: times,
			Measured: stats.Of(speed, results.Seed),
		},
		{
			Text: "our share of the processor time of client, kube-apiserver and etcd", Target: 10, Format: percent,
			Measured: stats.Of(share, results.Seed),
		},
	}
}

func memoryGoals(results *result.Results) []Goal {
	growth := Goal{Text: "peak memory at 1,000,000 objects over that at 1,000", Target: 1.3, Format: times}
	peak := Goal{Text: "peak memory at 1,000,000 objects", Target: 64, Format: mib}
	if len(results.Memory) > 1 {
		byObjects := func(a, b result.Memory) int { return a.Objects - b.Objects }
		least, most := slices.MinFunc(results.Memory, byObjects), slices.MaxFunc(results.Memory, byObjects)
		growth.Text = fmt.Sprintf("peak memory at %s objects over that at %s", grouped(most.Objects), grouped(least.Objects))
		growth.Measured = stats.Of([]float64{float64(most.Peak) / float64(least.Peak)}, results.Seed)
		peak.Text = fmt.Sprintf("peak memory at %s objects", grouped(most.Objects))
		peak.Measured = stats.Of([]float64{float64(most.Peak) / (1 << 20)}, results.Seed)
	}
	return []Goal{growth, peak}
}

func foregroundGoals(results *result.Results) []Goal {
	felt := Feel(results, peer.Ours)
	return []Goal{
		{
			Text: "p99 of a foreground reader and writer during a migration at default settings, over p99 when idle", Target: 4,
			Format: times, Measured: felt.Slower,
		},
		{
			Text: "speed over the floor's (32 writes in flight) meanwhile", AtLeast: true, Target: 0.7, Format: times,
			Measured: felt.OfFloor,
		},
	}
}
