// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package stats says what a series of measurements on a machine that is not quiet is worth.
//
// It is pure. Rules:
//
//  1. What is compared is a ratio within one round, never two numbers of different rounds: the machine drifts.
//  2. Such ratios are summed up by their median, which one disturbed round can't move far.
//  3. How far the median can be trusted is said by a percentile bootstrap: rounds are drawn with replacement, and the
//     interval holds the middle 95 % of the medians of what was drawn. It lies within the range of the values.
//  4. The same values and the same seed give the same interval.
package stats

import (
	"math"
	"math/rand/v2"
	"slices"
)

// resamples is the number of draws of a bootstrap; more change the second digit of an interval's ends at most.
const resamples = 4000

// The ends of an interval that holds 95 % of what was drawn.
const (
	lowEnd  = 0.025
	highEnd = 0.975
)

// Estimate is a median and how far it can be trusted.
type Estimate struct {
	Median float64 `json:"median"`
	// Low and High are the ends of the 95 % interval.
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	// N is the number of values; all else is zero without any.
	N int `json:"n"`
}

// Of sums up values, which it leaves as they are.
func Of(values []float64, seed uint64) Estimate {
	if len(values) == 0 {
		return Estimate{}
	}
	draw := rand.New(rand.NewPCG(seed, uint64(len(values)))) //nolint:gosec // the same seed is to give the same interval
	drawn := make([]float64, len(values))
	medians := make([]float64, resamples)
	for i := range medians {
		for j := range drawn {
			drawn[j] = values[draw.IntN(len(values))]
		}
		medians[i] = Median(drawn)
	}
	return Estimate{
		Median: Median(values), Low: Quantile(medians, lowEnd), High: Quantile(medians, highEnd), N: len(values),
	}
}

// Median is the middle value, or the mean of the two in the middle; 0 of none.
func Median(values []float64) float64 { return Quantile(values, 0.5) }

// Quantile is the value below which the share q of the values lies, from 0 to 1, interpolated between neighbours; 0
// of none.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	position := q * float64(len(sorted)-1)
	below := int(math.Floor(position))
	above := min(below+1, len(sorted)-1)
	share := position - float64(below)
	return sorted[below]*(1-share) + sorted[above]*share
}
