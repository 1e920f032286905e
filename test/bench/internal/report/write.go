// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/plot"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/series"
)

// Load reads results.json.
func Load(file string) (*result.Results, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("load results: %w", err)
	}
	var results result.Results
	if err := json.Unmarshal(data, &results); err != nil {
		return nil, fmt.Errorf("load results: %w", err)
	}
	return &results, nil
}

// Write writes results.json, results.md and plot.svg into a folder, and the part of a README where one is named.
func Write(results *result.Results, dir, readme string) error {
	data, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return fmt.Errorf("encode results: %w", err)
	}
	for name, content := range map[string]string{
		"results.json": string(data) + "\n", "results.md": Markdown(results), "plot.svg": plot.SVG(panels(results)),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return fmt.Errorf("write results: %w", err)
		}
	}
	if readme == "" {
		return nil
	}
	return replaceIn(readme, beginMarker, endMarker, Readme(results))
}

// replaceIn puts content between the markers of a file.
func replaceIn(readme, begin, end, content string) error {
	document, err := os.ReadFile(readme)
	if err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	replaced, err := replace(string(document), begin, end, content)
	if err != nil {
		return fmt.Errorf("write table to %s: %w", readme, err)
	}
	if err := os.WriteFile(readme, []byte(replaced), 0o644); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// panels are the bars of the plot: the rate of each peer, for small and for large Secrets.
func panels(results *result.Results) []plot.Panel {
	var panels []plot.Panel
	for _, p := range []struct {
		title string
		from  Comparison
	}{
		{"Secrets of 1 KiB", Compare(results, result.SeriesRounds, series.SmallName)},
		{"Secrets of 256 KiB", Compare(results, result.SeriesSizes, series.LargeName)},
	} {
		panel := plot.Panel{Title: p.title, Unit: "objects/s"}
		for _, s := range p.from.Peers {
			if s.Rate.N == 0 {
				continue
			}
			panel.Bars = append(panel.Bars, plot.Bar{
				Label: titleOf(s.Peer).plain, Value: s.Rate.Median, Low: s.Rate.Low, High: s.Rate.High, Kind: kindOf(s.Peer),
			})
		}
		if len(panel.Bars) > 0 {
			panels = append(panels, panel)
		}
	}
	return panels
}

func kindOf(name string) plot.Kind {
	switch {
	case name == "ours" || name == "ours-16":
		return plot.Ours
	case isFloor(name):
		return plot.Bound
	default:
		return plot.Other
	}
}
