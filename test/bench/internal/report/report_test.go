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
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/stats"
)

// slice is one of 100 objects in the rounds of small Secrets, on a quiet machine.
func slice(round int, peer string, seconds float64) result.Slice {
	return result.Slice{
		Series: result.SeriesRounds, Dataset: "1KiB", Round: round, Peer: peer, Objects: 100, Wall: seconds, Work: seconds,
		CPU: result.CPU{Client: 0.1 * seconds, APIServer: 0.7 * seconds, Etcd: 0.2 * seconds}, Peak: 30 << 20,
	}
}

func slower(t *testing.T, peer string, slices ...result.Slice) stats.Estimate {
	t.Helper()
	return Compare(&result.Results{Slices: slices}, result.SeriesRounds, "1KiB").find(peer).Slower
}

func TestCompare(t *testing.T) {
	void := slice(1, "k3s", 9)
	void.Void = "not every object was written"
	loud := slice(4, "k3s", 90)
	loud.Foreign = 0.5
	svm := slice(1, "svm", 5)
	svm.Work, svm.Wait = 2, 3
	floor := slice(1, "floor-16", 2)
	floor.Work = 0.5
	ours := func(round int) result.Slice { return slice(round, "ours", 1) }

	for name, tc := range map[string]struct {
		peer   string
		slices []result.Slice
		median float64
		n      int
	}{
		"ratios are formed within rounds": {
			"k3s", []result.Slice{slice(1, "ours", 1), slice(1, "k3s", 2), slice(2, "ours", 10), slice(2, "k3s", 20)}, 2, 2,
		},
		"a void slice does not count, the one that repeats it does": {"k3s", []result.Slice{ours(1), void, slice(1, "k3s", 3)}, 3, 1},
		"a round that lacks one of the two does not count":          {"k3s", []result.Slice{ours(1), slice(2, "k3s", 3)}, 0, 0},
		"a round that is not quiet does not count, if three others are": {
			"k3s",
			[]result.Slice{ours(1), slice(1, "k3s", 2), ours(2), slice(2, "k3s", 2), ours(3), slice(3, "k3s", 2), ours(4), loud},
			2, 3,
		},
		"all rounds count if fewer than three are quiet": {"k3s", []result.Slice{ours(1), slice(1, "k3s", 2), ours(4), loud}, 46, 2},
		"a controller's work counts, not its wait":       {"svm", []result.Slice{ours(1), svm}, 2, 1},
		"the floor's work counts, not its list":          {"floor-16", []result.Slice{ours(1), floor}, 0.5, 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := slower(t, tc.peer, tc.slices...)
			assert.InDelta(t, tc.median, got.Median, 1e-9)
			assert.Equal(t, tc.n, got.N)
		})
	}
}

func TestCompare_tellsVoidSlicesAndQuietRounds(t *testing.T) {
	void := slice(1, "k3s", 9)
	void.Void = "why"
	c := Compare(&result.Results{Slices: []result.Slice{slice(1, "ours", 1), void}}, result.SeriesRounds, "1KiB")
	assert.Equal(t, 1, c.Quiet)
	assert.Equal(t, 1, c.find("k3s").Void)
	assert.Equal(t, "All 1 rounds count, 1 of them quiet: others used the machine as well.", c.rounds())
}

func TestGoals(t *testing.T) {
	results := &result.Results{
		Slices: []result.Slice{
			slice(1, "ours", 1), slice(1, "kubectl", 3.5), slice(1, "k3s", 1.5), slice(1, "ours-16", 1), slice(1, "floor-16", 0.95),
		},
		Memory: []result.Memory{{Objects: 1000, Peak: 40 << 20}, {Objects: 1_000_000, Peak: 70 << 20}},
	}
	verdicts := map[string]string{}
	for _, g := range Goals(results) {
		switch {
		case !g.Known():
			verdicts[g.Text] = "unknown"
		case g.Met():
			verdicts[g.Text] = "met"
		default:
			verdicts[g.Text] = "not met"
		}
	}
	for goal, want := range map[string]string{
		"1KiB: speed over kubectl get | kubectl replace":                     "met",
		"1KiB: speed over k3s's loop":                                        "not met",
		"256KiB: speed over kubectl get | kubectl replace":                   "unknown",
		"speed over the floor's, both with 16 writes in flight":              "met",
		"our share of the processor time of client, kube-apiserver and etcd": "met",
		"peak memory at 1,000,000 objects over that at 1,000":                "not met",
		"peak memory at 1,000,000 objects":                                   "not met",
		"speed over the floor's (32 writes in flight) meanwhile":             "unknown",
	} {
		assert.Equal(t, want, verdicts[goal], goal)
	}
}

func TestFeel(t *testing.T) {
	fast, slow := []float64{1, 1, 1, 1}, []float64{3, 3, 3, 3}
	ours, floor := slice(1, "ours", 2), slice(1, "floor-32", 1)
	ours.Series, floor.Series = result.SeriesForeground, result.SeriesForeground
	f := Feel(&result.Results{
		Slices: []result.Slice{ours, floor},
		Probes: []result.Probe{
			{Round: 1, Peer: result.Idle, Reads: fast, Writes: fast}, {Round: 1, Peer: "ours", Reads: slow, Writes: slow},
		},
	}, "ours")
	assert.InDelta(t, 3, f.Slower.Median, 1e-9)
	assert.InDelta(t, 0.5, f.OfFloor.Median, 1e-9, "half as fast as the floor")
	assert.Equal(t, 8, f.Requests)
}

func TestEstimate(t *testing.T) {
	for want, e := range map[string]stats.Estimate{
		"–":                 {},
		"2.00×":             {Median: 2, Low: 2, High: 2, N: 1},
		"2.00× (1.50–2.25)": {Median: 2, Low: 1.5, High: 2.25, N: 10},
	} {
		assert.Equal(t, want, estimate(times, e))
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1_000_000: "1,000,000"} {
		assert.Equal(t, want, grouped(n))
	}
}

func TestReplace(t *testing.T) {
	got, err := Replace("a\n<!-- bench -->\nold\n<!-- /bench -->\nb\n", "new\n")
	require.NoError(t, err)
	assert.Equal(t, "a\n<!-- bench -->\n\nnew\n\n<!-- /bench -->\nb\n", got)
	again, err := Replace(got, "new\n")
	require.NoError(t, err)
	assert.Equal(t, got, again, "a second time changes nothing")
	_, err = Replace("<!-- /bench --> <!-- bench -->", "new")
	assert.Error(t, err, "markers in the wrong order")
}

func TestWrite_writesAllFilesAndWhatWasReadBackIsTheSame(t *testing.T) {
	dir := t.TempDir()
	readme := filepath.Join(dir, "README.md")
	require.NoError(t, os.WriteFile(readme, []byte("<!-- bench --><!-- /bench -->"), 0o600))
	results := &result.Results{Date: "2026-11-21T10:00:00Z", Seed: 7, Slices: []result.Slice{slice(1, "ours", 1), slice(1, "kubectl", 4)}}
	require.NoError(t, Write(results, dir, readme))
	loaded, err := Load(filepath.Join(dir, "results.json"))
	require.NoError(t, err)
	assert.Equal(t, results, loaded)
	for _, file := range []string{"results.md", "plot.svg", "README.md"} {
		content, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		assert.Contains(t, strings.ReplaceAll(string(content), "\\|", "|"), "kubectl", file)
		assert.NotContains(t, string(content), "NaN", file)
	}
}
