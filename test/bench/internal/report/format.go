// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/stats"
)

// none stands in a table where nothing was measured.
const none = "–"

// estimate shows a median with its interval, in one format, such as "2.10× (1.95–2.30)".
func estimate(format string, e stats.Estimate) string {
	if e.N == 0 {
		return none
	}
	text := fmt.Sprintf(format, e.Median)
	if e.N == 1 {
		return text
	}
	bare := format[:strings.IndexByte(format, 'f')+1] // the unit stands once
	return fmt.Sprintf("%s ("+bare+"–"+bare+")", text, e.Low, e.High)
}

// grouped shows a number with a comma between thousands.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// row is a line of a Markdown table.
func row(b *strings.Builder, cells ...string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// head begins a Markdown table; the first column holds words, the others numbers.
func head(b *strings.Builder, cells ...string) {
	row(b, cells...)
	b.WriteString("|---|" + strings.Repeat("--:|", len(cells)-1) + "\n")
}

// circumstances say when, with what and on what it was measured.
func circumstances(results *result.Results) string {
	m, v := results.Machine, results.Versions
	kind := "`make bench`"
	if results.Quick {
		kind = "`make bench-quick`"
	}
	date, _, _ := strings.Cut(results.Date, "T")
	return fmt.Sprintf("Measured on %s with %s (%s): kubectl encryption %s, Kubernetes %s with %s, kubectl %s, on %d "+
		"cores (%s) with %.0f GiB of memory, Linux %s, a disk that syncs 2.3 KB in %.2f ms (p50) and %.2f ms (p99).",
		date, kind, fmt.Sprintf("seed %d", results.Seed), v.Plugin, v.Kubernetes, results.Provider, v.Kubectl,
		m.Cores, m.Model, float64(m.Memory)/(1<<30), m.Kernel, m.SyncP50, m.SyncP99)
}
