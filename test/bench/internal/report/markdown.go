// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/peer"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/series"
)

// Markdown is all that was measured, for results.md.
func Markdown(results *result.Results) string {
	var b strings.Builder
	b.WriteString("# Benchmark of migrations\n\n" + circumstances(results) + "\n\n")
	writeGoals(&b, Goals(results))
	small := Compare(results, result.SeriesRounds, series.SmallName)
	large := Compare(results, result.SeriesSizes, series.LargeName)
	writeComparison(&b, "Secrets of 1 KiB", small)
	writeComparison(&b, "Secrets of 256 KiB", large)
	writeShipped(&b, Compare(results, result.SeriesShipped, series.SmallName))
	writeForeground(&b, results)
	writeWorkers(&b, Compare(results, result.SeriesWorkers, series.SmallName))
	writePatchTypes(&b, results)
	writeMemory(&b, results)
	b.WriteString(reading)
	return b.String()
}

// reading says how to read the tables.
const reading = `## How to read this

Every number is a median over rounds, with a 95 % bootstrap interval in parentheses. Ratios are formed within a round,
in which every peer stores the same Secrets again, in an order that is drawn anew each time. Before each slice the write key
is changed and kube-apiserver says that it has loaded it; after it every object has a new resourceVersion, and etcd holds
no value that is stored with the other key, or the slice is void. A peer's time is that of its process, start included;
of StorageVersionMigration it is the controller's work without the wait before it.
`

func writeGoals(b *strings.Builder, goals []Goal) {
	b.WriteString("## Goals\n\n")
	head(b, "", "goal", "measured", "")
	for _, g := range goals {
		sign, verdict := "≤ ", "not measured"
		if g.AtLeast {
			sign = "≥ "
		}
		switch {
		case g.Known() && g.Met():
			verdict = "met"
		case g.Known():
			verdict = "**not met**"
		}
		row(b, strings.ReplaceAll(g.Text, "|", `\|`), sign+fmt.Sprintf(g.Format, g.Target), estimate(g.Format, g.Measured), verdict)
	}
	b.WriteString("\n")
}

func writeComparison(b *strings.Builder, heading string, c Comparison) {
	if len(c.Peers) == 0 {
		return
	}
	fmt.Fprintf(b, "## %s\n\n%s\n\n", heading, c.rounds())
	head(b, "", "objects/s", "time, ours is 1", "CPU ms/object: client", "apiserver", "etcd", "kcm", "CPU, ours is 1", "peak memory", "void")
	for _, s := range c.Peers {
		row(b, titleOf(s.Peer).markdown, estimate("%.0f", s.Rate), estimate("%.2f", s.Slower),
			fmt.Sprintf("%.2f", s.CPU.Client), fmt.Sprintf("%.2f", s.CPU.APIServer), fmt.Sprintf("%.2f", s.CPU.Etcd),
			fmt.Sprintf("%.2f", s.CPU.ControllerManager), estimate("%.2f", s.MoreCPU), memory(s), fmt.Sprint(s.Void))
	}
	b.WriteString("\n")
	if wait := c.find(peer.SVM); wait.Wait > 0 {
		fmt.Fprintf(b, "StorageVersionMigration waited %.1f s before its first write, although its cache was moved on by a write "+
			"at once; it works in kube-controller-manager, whose memory is not counted.\n\n", wait.Wait)
	}
}

// rounds says which rounds the numbers are of.
func (c Comparison) rounds() string {
	if c.Quiet < leastQuiet {
		return fmt.Sprintf("All %d rounds count, %d of them quiet: others used the machine as well.", c.Rounds, c.Quiet)
	}
	return fmt.Sprintf("The %d quiet rounds count.", c.Rounds)
}

func memory(s Summary) string {
	if s.Peer == peer.SVM || s.Rate.N == 0 {
		return none
	}
	return fmt.Sprintf("%.0f MiB", s.Peak/(1<<20))
}

func writeShipped(b *strings.Builder, c Comparison) {
	for _, s := range c.Peers {
		fmt.Fprintf(b, "kube-storage-version-migrator as shipped (40/s, burst 1,000; its manifests/migrator.yaml): %s objects/s over "+
			"a slice that is longer than its burst, %.0f/s when that was used up. Measured once, outside the rounds.\n\n",
			estimate("%.0f", s.Rate), s.LastRate)
	}
}

func writeForeground(b *strings.Builder, results *result.Results) {
	if len(results.Probes) == 0 {
		return
	}
	b.WriteString("## What others feel\n\nA reader and a writer of other objects, 20 requests a second each, as a user to whom " +
		"priority and fairness applies.\n\n")
	head(b, "meanwhile", "p50 ms", "p99 ms", "reads p99", "writes p99", "p99, idle is 1", "objects/s", "share of floor's speed", "requests")
	for _, name := range []string{result.Idle, peer.Ours, "ours-16", foregroundFloor} {
		f := Feel(results, name)
		row(b, titleOf(name).markdown, fmt.Sprintf("%.1f", f.P50), fmt.Sprintf("%.1f", f.P99), fmt.Sprintf("%.1f", f.ReadP99),
			fmt.Sprintf("%.1f", f.WriteP99), estimate("%.2f", f.Slower), estimate("%.0f", f.Rate), estimate("%.2f", f.OfFloor),
			fmt.Sprint(f.Requests))
	}
	b.WriteString("\n")
}

func writeWorkers(b *strings.Builder, c Comparison) {
	if len(c.Peers) == 0 {
		return
	}
	b.WriteString("## Writes in flight\n\n")
	head(b, "`--concurrency`", "objects/s", "CPU ms/object, all processes")
	workers := func(s Summary) string { return strings.TrimPrefix(s.Peer, peer.Ours+"-") }
	slices.SortFunc(c.Peers, func(a, b Summary) int { // as numbers
		return cmp.Or(cmp.Compare(len(workers(a)), len(workers(b))), strings.Compare(workers(a), workers(b)))
	})
	for _, s := range c.Peers {
		row(b, workers(s), estimate("%.0f", s.Rate), fmt.Sprintf("%.2f", s.CPU.Total()))
	}
	b.WriteString("\n")
}

func writePatchTypes(b *strings.Builder, results *result.Results) {
	sizes := []string{series.SmallName, "16KiB", series.LargeName}
	if len(names(results, result.SeriesPatchTypes, sizes[0])) == 0 {
		return
	}
	b.WriteString("## Kinds of no-op\n\nObjects per second with 16 writes in flight; in parentheses the 95 % interval; then the " +
		"processor time per object of all processes.\n\n")
	head(b, append([]string{""}, sizes...)...)
	for _, kind := range []string{"apply", "strategic", "merge"} {
		cells := []string{kind}
		for _, size := range sizes {
			s := Compare(results, result.SeriesPatchTypes, size).find(kind)
			cells = append(cells, fmt.Sprintf("%s, %.1f ms", estimate("%.0f", s.Rate), s.CPU.Total()))
		}
		row(b, cells...)
	}
	b.WriteString("\n")
}

func writeMemory(b *strings.Builder, results *result.Results) {
	if len(results.Memory) == 0 {
		return
	}
	b.WriteString("## Memory\n\nAgainst a server that has only metadata.\n\n")
	head(b, "objects", "peak memory", "client's CPU per object")
	for _, m := range results.Memory {
		row(b, grouped(m.Objects), fmt.Sprintf(mib, float64(m.Peak)/(1<<20)), fmt.Sprintf("%.0f µs", m.Client/float64(m.Objects)*1e6))
	}
	b.WriteString("\n")
}
