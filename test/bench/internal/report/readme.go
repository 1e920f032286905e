// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/peer"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/series"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/stats"
)

// The markers around what the benchmark writes of a README.
const (
	beginMarker = "<!-- bench -->"
	endMarker   = "<!-- /bench -->"
)

// Readme is the short form, for a README: one table of both datasets and a few sentences.
func Readme(results *result.Results) string {
	var b strings.Builder
	small := Compare(results, result.SeriesRounds, series.SmallName)
	large := Compare(results, result.SeriesSizes, series.LargeName)
	head(&b, "storing every Secret again", "1 KiB: objects/s", "time, ours is 1", "CPU ms/object", "256 KiB: objects/s", "time, ours is 1", "peak memory")
	for _, s := range small.Peers {
		l := large.find(s.Peer)
		row(&b, titleOf(s.Peer).markdown,
			median(s.Rate), estimate("%.2f", s.Slower), fmt.Sprintf("%.1f", s.CPU.Total()),
			median(l.Rate), estimate("%.2f", l.Slower), memory(l))
	}
	fmt.Fprintf(&b, "\n%s\n1 KiB: %s 256 KiB: %s\n", circumstances(results), small.rounds(), large.rounds())
	if f := Feel(results, peer.Ours); f.Requests > 0 {
		idle := Feel(results, result.Idle)
		fmt.Fprintf(&b, "\nA reader and a writer of other objects, meanwhile: p99 %.1f ms, %.1f ms when idle, with %.0f objects/s migrated.\n",
			f.P99, idle.P99, f.Rate.Median)
	}
	if n := len(results.Memory); n > 1 {
		first, last := results.Memory[0], results.Memory[n-1]
		fmt.Fprintf(&b, "Peak memory is %.0f MiB for %s objects and %.0f MiB for %s.\n",
			float64(first.Peak)/(1<<20), grouped(first.Objects), float64(last.Peak)/(1<<20), grouped(last.Objects))
	}
	return b.String()
}

// median is that of a rate, in objects per second.
func median(e stats.Estimate) string {
	if e.N == 0 {
		return none
	}
	return fmt.Sprintf("%.0f", e.Median)
}

// Replace puts content between the markers of a document.
func Replace(document, content string) (string, error) {
	return replace(document, beginMarker, endMarker, content)
}

func replace(document, begin, end, content string) (string, error) {
	before, rest, found := strings.Cut(document, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return "", fmt.Errorf("no part between %s and %s", begin, end)
	}
	return before + begin + "\n\n" + strings.TrimSpace(content) + "\n\n" + end + after, nil
}
