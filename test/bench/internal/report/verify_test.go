// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
)

// readBy is one of 1,000 values on a quiet machine.
func readBy(round int, reader string, seconds float64) result.Reading {
	return result.Reading{Values: 1000, Round: round, Reader: reader, Wall: seconds, Client: 0.005, Etcd: 0.01, Peak: 40 << 20}
}

func TestVerify_theAgentIsComparedWithTheFasterClientOfTheSameRound(t *testing.T) {
	void := readBy(1, result.ReaderClient2000, 0.001)
	void.Void = "of 1000 values 7 were told"
	loud := readBy(4, result.ReaderAgent, 90)
	loud.Foreign = 0.5
	agent := func(round int, seconds float64) result.Reading { return readBy(round, result.ReaderAgent, seconds) }
	client := func(round int, seconds float64) result.Reading {
		return readBy(round, result.ReaderClient10000, seconds)
	}
	fast := func(round int, seconds float64) result.Reading {
		return readBy(round, result.ReaderClient2000, seconds)
	}
	for name, tt := range map[string]struct {
		list   []result.Reading
		median float64
		n      int
	}{
		"the faster one counts":                         {[]result.Reading{agent(1, 2), client(1, 4), fast(1, 1)}, 0.5, 1},
		"one of another round does not":                 {[]result.Reading{agent(1, 2), client(1, 4), fast(2, 1)}, 2, 1},
		"a void reading does not":                       {[]result.Reading{agent(1, 2), client(1, 4), void}, 2, 1},
		"without a client there is nothing to say":      {[]result.Reading{agent(1, 2)}, 0, 0},
		"a loud round counts if too few others are not": {[]result.Reading{agent(1, 1), client(1, 1), loud, client(4, 9)}, 0.55, 2},
		"and does not if three are quiet": {
			[]result.Reading{agent(1, 1), client(1, 1), agent(2, 1), client(2, 1), agent(3, 1), client(3, 1), loud, client(4, 9)}, 1, 3,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := readingsOf(&result.VerifyResults{Readings: tt.list})[0].share(result.ReaderAgent)
			assert.InDelta(t, tt.median, got.Median, 1e-9)
			assert.Equal(t, tt.n, got.N)
		})
	}
}

func TestVerifyGoals(t *testing.T) {
	heavy := readBy(2, result.ReaderAgentAll, 1)
	heavy.Peak = 129 << 20
	goals := map[string]bool{}
	for _, g := range VerifyGoals(&result.VerifyResults{Readings: []result.Reading{
		readBy(1, result.ReaderAgent, 0.03), readBy(1, result.ReaderClient10000, 0.01), readBy(1, result.ReaderOffline, 0.01),
		readBy(1, result.ReaderAgentAll, 1), heavy,
	}}) {
		if g.Known() {
			goals[g.Text] = g.Met()
		}
	}
	assert.Equal(t, map[string]bool{
		"1,000 values: counted from a snapshot, values/s":              true,
		"1,000 values: speed of the agent over the faster bare client": false,
		"1,000 values: peak memory of agent":                           true,
		"1,000 values: peak memory of agent-all":                       false, // the most of all rounds counts, not the median
	}, goals)
}

func TestWriteVerify(t *testing.T) {
	dir := t.TempDir()
	readme := filepath.Join(dir, "README.md")
	require.NoError(t, os.WriteFile(readme, []byte("before\n<!-- bench-verify -->\nold\n<!-- /bench-verify -->\nafter\n"), 0o600))
	void := readBy(1, result.ReaderClient2000, 1)
	void.Void = "it broke"
	larger := readBy(1, result.ReaderAgent, 1)
	larger.Values = 1_000_000
	results := &result.VerifyResults{Date: "2026-11-21T10:00:00Z", Readings: []result.Reading{larger, readBy(1, result.ReaderAgent, 0.5), void}}
	require.NoError(t, WriteVerify(results, dir, readme))
	assert.FileExists(t, filepath.Join(dir, "verify.json"))
	whole, err := os.ReadFile(filepath.Join(dir, "verify.md"))
	require.NoError(t, err)
	assert.Contains(t, string(whole), "Void: client-2000 of 1,000 values in round 1: it broke")
	table, err := os.ReadFile(readme)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(table), "before\n"))
	assert.Contains(t, string(table), "| reading every value | 1,000: values/s | the bare client is 1 | CPU µs/value | peak memory | 1,000,000: values/s |")
	assert.Contains(t, string(table), "| **`verify`: the agent, from etcd** | 2000 | – | 15.0 | 40 MiB | 1000000 | – | 0.0 | 40 MiB |")
	assert.NotContains(t, string(table), "old")
	require.ErrorContains(t, WriteVerify(results, dir, filepath.Join(dir, "verify.md")), "<!-- bench-verify -->")
}
