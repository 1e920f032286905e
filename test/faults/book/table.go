// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package book

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// header are the columns of the table.
func header() []string {
	return []string{"FAULT", "TRIED", "SURVIVED", "READS", "WRITES", "UNREADABLE", "LOST"}
}

// cells are the report's rows, the last one the sums.
func (r Report) cells() (lines [][]string) {
	sum := Row{Fault: fmt.Sprintf("%d faults", len(r.Cases))}
	line := func(row Row) []string {
		cells := []string{row.Fault}
		for _, n := range []int{row.Tried, row.Survived, row.Reads, row.Writes, row.Unreadable, row.Lost} {
			cells = append(cells, strconv.Itoa(n))
		}
		return cells
	}
	for _, row := range r.Cases {
		lines = append(lines, line(row))
		sum.Tried, sum.Survived = sum.Tried+row.Tried, sum.Survived+row.Survived
		sum.Reads, sum.Writes = sum.Reads+row.Reads, sum.Writes+row.Writes
		sum.Unreadable, sum.Lost = sum.Unreadable+row.Unreadable, sum.Lost+row.Lost
	}
	return append(lines, line(sum))
}

// Text prints the report as a table, and below it what has gone wrong.
func (r Report) Text(out io.Writer) {
	lines := append([][]string{header()}, r.cells()...)
	widths := make([]int, len(header()))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range lines {
		fmt.Fprintf(out, "%-*s", widths[0], line[0])
		for i, cell := range line[1:] {
			fmt.Fprintf(out, "  %*s", widths[i+1], cell)
		}
		fmt.Fprintln(out)
	}
	for _, wrong := range r.Wrong {
		fmt.Fprintln(out, "WRONG:", wrong)
	}
}

// Markdown prints the report as a table in Markdown.
func (r Report) Markdown(out io.Writer) {
	fmt.Fprintf(out, "| %s |\n|---%s|\n", strings.ToLower(strings.Join(header(), " | ")), strings.Repeat("|--:", len(header())-1))
	for _, line := range r.cells() {
		fmt.Fprintf(out, "| %s |\n", strings.Join(line, " | "))
	}
	for _, wrong := range r.Wrong {
		fmt.Fprintf(out, "\n**Wrong:** %s\n", wrong)
	}
}
