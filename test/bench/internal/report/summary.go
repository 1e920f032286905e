// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package report says what follows from the results of a run: how the peers compare, which goals are met, and the
// table and the plot that show it. It is pure but for reading and writing the files.
//
// Rules:
//
//  1. Void slices count for nothing but the number of void slices.
//  2. Rounds in which others used more than 15 % of the machine are not quiet. The quiet rounds count, or all if
//     fewer than three are quiet; which of both is said.
//  3. A peer's time is that of its process from start to end. Of the controller in kube-controller-manager it is its
//     work alone: what it waits for before is told apart, and its process was there already. Against the floor the
//     work of both counts, as the floor lists beforehand. Where ours is compared with itself it is its work as well.
//  4. Ratios are formed within a round and then summed up as package stats does.
package report

import (
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/peer"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/stats"
)

// Comparison of all peers on one dataset.
type Comparison struct {
	Dataset string
	// Rounds that count, and how many of all rounds were quiet.
	Rounds, Quiet int
	Peers         []Summary
}

// Summary of one peer.
type Summary struct {
	Peer string
	Void int
	// Rate in objects per second.
	Rate stats.Estimate
	// Slower is how many times as long as ours it takes; below 1 it is faster.
	Slower stats.Estimate
	// CPU is processor time per object in milliseconds: medians, by process.
	CPU result.CPU
	// MoreCPU is how many times as much processor time as ours it takes, all processes together.
	MoreCPU stats.Estimate
	// Peak is the median of the peak memory, in bytes.
	Peak float64
	// Wait is the median of the time, in seconds, before the first write.
	Wait float64
	// LastRate is the median of the rate at the end, in objects per second, where it was looked at.
	LastRate float64
}

// Compare sums up the rounds of a dataset. It has no peers if there were no rounds.
func Compare(results *result.Results, series, dataset string) Comparison {
	r := roundsOf(results, series, dataset)
	c := Comparison{Dataset: dataset, Rounds: len(r.use), Quiet: r.quiet}
	for _, name := range names(results, series, dataset) {
		c.Peers = append(c.Peers, r.summary(name, results.Seed))
	}
	return c
}

// names of the peers of a series in the order of titles, then by first appearance.
func names(results *result.Results, series, dataset string) []string {
	seen := map[string]bool{}
	var others []string
	for _, s := range results.Slices {
		if s.Series == series && s.Dataset == dataset && !seen[s.Peer] {
			seen[s.Peer] = true
			others = append(others, s.Peer)
		}
	}
	var ordered []string
	for _, t := range titles() {
		if seen[t.peer] {
			ordered = append(ordered, t.peer)
			seen[t.peer] = false
		}
	}
	for _, name := range others {
		if seen[name] {
			ordered = append(ordered, name)
		}
	}
	return ordered
}

func (r rounds) summary(name string, seed uint64) Summary {
	perObject := func(of func(result.CPU) float64) float64 {
		return stats.Median(r.each(name, func(s result.Slice) float64 { return of(s.CPU) / float64(s.Objects) * 1e3 }))
	}
	var slower []float64
	for _, round := range r.use {
		it, ok := r.slices[round][name]
		ours, okOurs := r.slices[round][peer.Ours]
		if ok && okOurs {
			slower = append(slower, slowness(it, ours))
		}
	}
	return Summary{
		Peer: name, Void: r.void[name],
		Rate:   stats.Of(r.each(name, func(s result.Slice) float64 { return float64(s.Objects) / taken(s) }), seed),
		Slower: stats.Of(slower, seed),
		CPU: result.CPU{
			Client:            perObject(func(c result.CPU) float64 { return c.Client }),
			APIServer:         perObject(func(c result.CPU) float64 { return c.APIServer }),
			Etcd:              perObject(func(c result.CPU) float64 { return c.Etcd }),
			ControllerManager: perObject(func(c result.CPU) float64 { return c.ControllerManager }),
		},
		MoreCPU: stats.Of(r.ratios(name, peer.Ours, func(s result.Slice) float64 { return s.CPU.Total() }), seed),
		Peak:    stats.Median(r.each(name, func(s result.Slice) float64 { return float64(s.Peak) })),
		Wait:    stats.Median(r.each(name, func(s result.Slice) float64 { return s.Wait })),

		LastRate: stats.Median(r.each(name, func(s result.Slice) float64 { return s.LastRate })),
	}
}

// taken is a slice's time, in seconds.
func taken(s result.Slice) float64 {
	switch {
	case s.Peer == peer.SVM, isFloor(s.Peer):
		return s.Work
	case s.Series == result.SeriesWorkers, s.Series == result.SeriesPatchTypes:
		return s.Work
	default:
		return s.Wall
	}
}

func isFloor(name string) bool { return strings.HasPrefix(name, peer.Floor) }

// slowness is how many times as long as ours a peer took.
func slowness(it, ours result.Slice) float64 {
	if isFloor(it.Peer) {
		return it.Work / ours.Work
	}
	return taken(it) / taken(ours)
}

// title of a peer in a table, in Markdown, and in the plot.
type title struct{ peer, markdown, plain string }

// titles of the peers, in the order of a table.
func titles() []title {
	return []title{
		{peer.Ours, "**`kubectl encryption migrate`**", "kubectl encryption migrate"},
		{"ours-16", "the same with `--concurrency 16`", "… --concurrency 16"},
		{peer.LibraryGo, "loop of the shape of OpenShift's library-go", "library-go's loop"},
		{peer.K3s, "loop of the shape of k3s's", "k3s's loop"},
		{peer.KSVM, "kube-storage-version-migrator, without its limit of 40/s", "kube-storage-version-migrator"},
		{peer.SVM, "StorageVersionMigration in kube-controller-manager", "StorageVersionMigration"},
		{peer.Kubectl, "`kubectl get -A -o json \\| kubectl replace -f -`", "kubectl get | kubectl replace"},
		{"floor-16", "floor: bare patches and nothing else, 16 at a time", "floor, 16 at a time"},
		{"floor-32", "floor: bare patches and nothing else, 32 at a time", "floor, 32 at a time"},
	}
}

func titleOf(name string) title {
	for _, t := range titles() {
		if t.peer == name {
			return t
		}
	}
	return title{name, name, name}
}
