// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/stats"
)

// The bounds of a verification.
const (
	// offlineTarget is in values per second, of a snapshot on two cores.
	offlineTarget = 50_000
	// shareTarget is of what a bare client of etcd achieves.
	shareTarget = 0.5
	// peakTarget is of the agent, in MiB.
	peakTarget = 128
)

// The markers around what `bench verify` writes of a README.
const (
	verifyBegin = "<!-- bench-verify -->"
	verifyEnd   = "<!-- /bench-verify -->"
)

// readerTitles say what a reader is, in the order of the table.
func readerTitles() []readerTitle {
	return []readerTitle{
		{result.ReaderAgent, "**`verify`: the agent, from etcd**"},
		{result.ReaderAgentDecrypt, "the same with `--decrypt`"},
		{result.ReaderAgentAll, "the same with `--all`, and every value a straggler"},
		{result.ReaderClient10000, "bare client of etcd, 10,000 values a page"},
		{result.ReaderClient2000, "bare client of etcd, 2,000 values a page"},
		{result.ReaderOffline, "**`verify --snapshot`**"},
		{result.ReaderOfflineDecrypt, "the same with `--decrypt`"},
	}
}

type readerTitle struct{ reader, title string }

// readings are those of one number of values.
type readings struct {
	values int
	list   []result.Reading
	seed   uint64
	// quiet is how many rounds count, of rounds. Where fewer than three are quiet, all do.
	quiet, rounds int
}

// readingsOf groups what was read by the number of values, least first. Void readings are left out, as are rounds that are not
// quiet, if enough others are.
func readingsOf(results *result.VerifyResults) []readings {
	const enough = 3
	var all []readings
	for _, r := range results.Readings {
		at := slices.IndexFunc(all, func(g readings) bool { return g.values == r.Values })
		if at < 0 {
			all = append(all, readings{values: r.Values, seed: results.Seed})
			at = len(all) - 1
		}
		all[at].list = append(all[at].list, r)
	}
	slices.SortFunc(all, func(a, b readings) int { return a.values - b.values })
	for i := range all {
		loud, rounds := map[int]bool{}, map[int]bool{}
		for _, r := range all[i].list {
			rounds[r.Round] = true
			if r.Foreign+r.Steal > mostForeign {
				loud[r.Round] = true
			}
		}
		all[i].quiet, all[i].rounds = len(rounds)-len(loud), len(rounds)
		all[i].list = slices.DeleteFunc(all[i].list, func(r result.Reading) bool {
			return r.Void != "" || all[i].quiet >= enough && loud[r.Round]
		})
	}
	return all
}

// each is a number of each reading of a reader.
func (g readings) each(reader string, of func(result.Reading) float64) stats.Estimate {
	var values []float64
	for _, r := range g.list {
		if r.Reader == reader {
			values = append(values, of(r))
		}
	}
	return stats.Of(values, g.seed)
}

// share is a reader's rate over that of the bare client that was faster in the same round.
func (g readings) share(reader string) stats.Estimate {
	best := map[int]float64{}
	for _, r := range g.list {
		if r.Reader == result.ReaderClient10000 || r.Reader == result.ReaderClient2000 {
			best[r.Round] = max(best[r.Round], r.Rate())
		}
	}
	var values []float64
	for _, r := range g.list {
		if r.Reader == reader && best[r.Round] > 0 {
			values = append(values, r.Rate()/best[r.Round])
		}
	}
	return stats.Of(values, g.seed)
}

// peak is the most that any reading of a reader held, in MiB.
func (g readings) peak(reader string) stats.Estimate {
	var most float64
	for _, r := range g.list {
		if r.Reader == reader {
			most = max(most, float64(r.Peak)/(1<<20))
		}
	}
	if most == 0 {
		return stats.Estimate{}
	}
	return stats.Of([]float64{most}, g.seed)
}

// VerifyGoals are the bounds, with what was measured of them.
func VerifyGoals(results *result.VerifyResults) []Goal {
	var goals []Goal
	for _, g := range readingsOf(results) {
		of := grouped(g.values) + " values: "
		goals = append(goals,
			Goal{Text: of + "counted from a snapshot, values/s", AtLeast: true, Target: offlineTarget, Format: "%.0f", Measured: g.each(result.ReaderOffline, result.Reading.Rate)},
			Goal{Text: of + "speed of the agent over the faster bare client", AtLeast: true, Target: shareTarget, Format: times, Measured: g.share(result.ReaderAgent)},
		)
		for _, reader := range []string{result.ReaderAgent, result.ReaderAgentDecrypt, result.ReaderAgentAll} {
			goals = append(goals, Goal{Text: of + "peak memory of " + reader, Target: peakTarget, Format: mib, Measured: g.peak(reader)})
		}
	}
	return goals
}

// VerifyTable is the short form, for a README.
func VerifyTable(results *result.VerifyResults) string {
	var b strings.Builder
	all := readingsOf(results)
	heads := []string{"reading every value"}
	for _, g := range all {
		heads = append(heads, grouped(g.values)+": values/s", "the bare client is 1", "CPU µs/value", "peak memory")
	}
	head(&b, heads...)
	for _, t := range readerTitles() {
		cells := []string{t.title}
		for _, g := range all {
			peak := none
			if p := g.peak(t.reader); p.N > 0 {
				peak = fmt.Sprintf("%.0f MiB", p.Median)
			}
			each := none
			if cpu := g.each(t.reader, result.Reading.Each); cpu.N > 0 {
				each = fmt.Sprintf("%.1f", cpu.Median)
			}
			cells = append(cells, median(g.each(t.reader, result.Reading.Rate)), estimate("%.2f", g.share(t.reader)), each, peak)
		}
		row(&b, cells...)
	}
	m, v := results.Machine, results.Versions
	date, _, _ := strings.Cut(results.Date, "T")
	fmt.Fprintf(&b, "\nMeasured on %s with `make bench-verify` (seed %d): kubectl encryption %s, Kubernetes %s, objects of %d bytes under aesgcm, "+
		"on %d cores (%s) with %.0f GiB of memory, Linux %s.", date, results.Seed, v.Plugin, v.Kubernetes, results.Size, m.Cores, m.Model,
		float64(m.Memory)/(1<<30), m.Kernel)
	for _, g := range all {
		fmt.Fprintf(&b, " %s values: %d of %d rounds were quiet.", grouped(g.values), g.quiet, g.rounds)
	}
	b.WriteString("\n")
	return b.String()
}

// VerifyMarkdown is the whole report.
func VerifyMarkdown(results *result.VerifyResults) string {
	var b strings.Builder
	b.WriteString("# Reading what is stored\n\n")
	writeGoals(&b, VerifyGoals(results))
	b.WriteString("\n" + VerifyTable(results))
	for _, r := range results.Readings {
		if r.Void != "" {
			fmt.Fprintf(&b, "\nVoid: %s of %s values in round %d: %s\n", r.Reader, grouped(r.Values), r.Round, r.Void)
		}
	}
	return b.String()
}

// WriteVerify writes verify.json and verify.md into a folder, and the part of a README where one is named.
func WriteVerify(results *result.VerifyResults, dir, readme string) error {
	data, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return fmt.Errorf("encode results: %w", err)
	}
	for name, content := range map[string]string{"verify.json": string(data) + "\n", "verify.md": VerifyMarkdown(results)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return fmt.Errorf("write results: %w", err)
		}
	}
	if readme == "" {
		return nil
	}
	return replaceIn(readme, verifyBegin, verifyEnd, VerifyTable(results))
}
