// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package stats_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/stats"
)

func TestQuantile(t *testing.T) {
	for name, tc := range map[string]struct {
		values []float64
		q      float64
		want   float64
	}{
		"of nothing there is none":                        {nil, 0.5, 0},
		"of one value it is that":                         {[]float64{3}, 0.99, 3},
		"the median of an odd number is in the middle":    {[]float64{9, 1, 4}, 0.5, 4},
		"the median of an even number is between two":     {[]float64{4, 1, 2, 9}, 0.5, 3},
		"the least is at 0":                               {[]float64{4, 1, 2}, 0, 1},
		"the most is at 1":                                {[]float64{4, 1, 2}, 1, 4},
		"what lies between two is as far as the share is": {[]float64{0, 100}, 0.99, 99},
	} {
		t.Run(name, func(t *testing.T) {
			assert.InDelta(t, tc.want, stats.Quantile(tc.values, tc.q), 1e-9)
		})
	}
}

func TestQuantile_leavesTheValuesInTheirOrder(t *testing.T) {
	values := []float64{3, 1, 2}
	stats.Quantile(values, 0.5)
	assert.Equal(t, []float64{3, 1, 2}, values)
}

func TestOf(t *testing.T) {
	assert.Equal(t, stats.Estimate{}, stats.Of(nil, 1), "nothing")
	assert.Equal(t, stats.Estimate{Median: 7, Low: 7, High: 7, N: 1}, stats.Of([]float64{7}, 1), "one value")
	steady := stats.Of([]float64{2.9, 3, 3, 3.1, 3, 2.9, 3.1, 3, 3, 40}, 1)
	assert.InDelta(t, 3, steady.Median, 0.01, "one disturbed round does not move it")
	assert.Less(t, steady.High, 3.2, "nor the end of the interval")
}

// The rules of the package, for any values.
func TestOf_rules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0.001, 1e6), 1, 30).Draw(t, "values")
		seed := rapid.Uint64().Draw(t, "seed")
		kept := slices.Clone(values)
		e := stats.Of(values, seed)
		assert.Equal(t, kept, values, "the values are left as they are")
		assert.Equal(t, e, stats.Of(values, seed), "the same seed gives the same interval")
		assert.Equal(t, len(values), e.N)
		const rounding = 1e-6
		assert.GreaterOrEqual(t, e.Low, slices.Min(values)-rounding, "not below all values")
		assert.LessOrEqual(t, e.High, slices.Max(values)+rounding, "not above all values")
		assert.LessOrEqual(t, e.Low, e.High)

		factor := rapid.Float64Range(0.5, 2).Draw(t, "factor")
		scaled := make([]float64, len(values))
		for i, v := range values {
			scaled[i] = v * factor
		}
		assert.InEpsilon(t, e.Median*factor, stats.Of(scaled, seed).Median, rounding, "another unit gives the same estimate")
	})
}
