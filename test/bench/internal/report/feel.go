// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/series"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/stats"
)

// foregroundFloor is the peer that the rates of the foreground's series are compared with.
const foregroundFloor = "floor-32"

// Feeling is what the foreground feels of one peer, or of none.
type Feeling struct {
	Peer string
	// P50 and P99 of all requests of the rounds that count, in milliseconds; of reads and writes apart as well.
	P50, P99, ReadP99, WriteP99 float64
	// Requests are how many that were.
	Requests int
	// Slower is the p99 over the idle one of the same round.
	Slower stats.Estimate
	// Rate of the peer in objects per second, and its share of the floor's rate in the same round.
	Rate, OfFloor stats.Estimate
}

// Feel sums up the foreground while a peer ran.
func Feel(results *result.Results, name string) Feeling {
	r := roundsOf(results, result.SeriesForeground, series.SmallName)
	f := Feeling{Peer: name}
	var reads, writes, slower []float64
	for _, round := range r.use {
		with, ok := probeOf(results, round, name)
		idle, okIdle := probeOf(results, round, result.Idle)
		if !ok {
			continue
		}
		reads, writes = append(reads, with.Reads...), append(writes, with.Writes...)
		if okIdle {
			slower = append(slower, p99(with)/p99(idle))
		}
	}
	all := slices.Concat(reads, writes)
	f.Requests = len(all)
	f.P50, f.P99 = stats.Median(all), stats.Quantile(all, 0.99)
	f.ReadP99, f.WriteP99 = stats.Quantile(reads, 0.99), stats.Quantile(writes, 0.99)
	f.Slower = stats.Of(slower, results.Seed)
	f.Rate = stats.Of(r.each(name, func(s result.Slice) float64 { return float64(s.Objects) / s.Work }), results.Seed)
	f.OfFloor = stats.Of(r.ratios(foregroundFloor, name, func(s result.Slice) float64 { return s.Work }), results.Seed)
	return f
}

func probeOf(results *result.Results, round int, name string) (result.Probe, bool) {
	i := slices.IndexFunc(results.Probes, func(p result.Probe) bool {
		return p.Round == round && p.Peer == name && len(p.Reads)+len(p.Writes) > 0
	})
	if i < 0 {
		return result.Probe{}, false
	}
	return results.Probes[i], true
}

func p99(p result.Probe) float64 { return stats.Quantile(slices.Concat(p.Reads, p.Writes), 0.99) }
