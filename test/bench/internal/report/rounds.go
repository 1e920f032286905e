// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"maps"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
)

const (
	// mostForeign is the share of the machine that others may use in a round that counts as quiet.
	mostForeign = 0.15
	// leastQuiet is the number of quiet rounds below which all rounds are looked at, quiet or not.
	leastQuiet = 3
)

// rounds are the slices of one series and dataset by round and peer, void ones left out. A peer whose slice was
// taken twice has the second.
type rounds struct {
	slices map[int]map[string]result.Slice
	// use are the numbers of the rounds that count, all of them if too few were quiet.
	use []int
	// quiet is how many were.
	quiet int
	// void counts void slices by peer.
	void map[string]int
}

func roundsOf(results *result.Results, series, dataset string) rounds {
	r := rounds{slices: map[int]map[string]result.Slice{}, void: map[string]int{}}
	foreign, total := map[int]float64{}, map[int]float64{}
	for _, s := range results.Slices {
		if s.Series != series || s.Dataset != dataset {
			continue
		}
		foreign[s.Round] += (s.Foreign + s.Steal) * s.Wall
		total[s.Round] += s.Wall
		if s.Void != "" {
			r.void[s.Peer]++
			continue
		}
		if r.slices[s.Round] == nil {
			r.slices[s.Round] = map[string]result.Slice{}
		}
		r.slices[s.Round][s.Peer] = s
	}
	all := slices.Sorted(maps.Keys(r.slices))
	for _, round := range all {
		if foreign[round] <= mostForeign*total[round] {
			r.use = append(r.use, round)
		}
	}
	r.quiet = len(r.use)
	if r.quiet < leastQuiet {
		r.use = all
	}
	return r
}

// each gives a number for each round that counts and in which a peer has a slice that does.
func (r rounds) each(peer string, number func(result.Slice) float64) []float64 {
	var numbers []float64
	for _, round := range r.use {
		if s, ok := r.slices[round][peer]; ok {
			numbers = append(numbers, number(s))
		}
	}
	return numbers
}

// ratios gives, for each round that counts, one peer's number divided by another's.
func (r rounds) ratios(over, under string, number func(result.Slice) float64) []float64 {
	var ratios []float64
	for _, round := range r.use {
		a, okA := r.slices[round][over]
		b, okB := r.slices[round][under]
		if okA && okB && number(b) > 0 {
			ratios = append(ratios, number(a)/number(b))
		}
	}
	return ratios
}
