// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package book keeps what the cases of the fault suite have found, one row a case, and judges it.
//
// Rules of the package:
//
//  1. A case has gone wrong if it was never tried, if it was not survived each time, if anything was unreadable or lost,
//     or if too little was read or written meanwhile to see it.
//  2. A case that was to run and has left no row has gone wrong.
package book

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/test/faults/witness"
)

// Row is what a case has found.
type Row struct {
	// Fault is the name of the case.
	Fault string `json:"fault"`
	// Tried is how often the fault was there for a command to meet, Survived how often it ended as it should.
	Tried    int `json:"tried"`
	Survived int `json:"survived"`
	// Reads and Writes are the witness's work. Away are requests of its own that were not served.
	Reads  int `json:"reads"`
	Writes int `json:"writes"`
	Away   int `json:"away"`
	// Unreadable are moments in which an object could not be shown as it was; Lost are updates and objects that are lost,
	// vanished, resurrected or altered.
	Unreadable int `json:"unreadable"`
	Lost       int `json:"lost"`
	// Details of what went wrong.
	Details []string `json:"details,omitempty"`
}

// The least that a witness has to have done in a case.
const (
	leastReads  = 50
	leastWrites = 5
)

// Add puts a witness's counts into the row.
func (r *Row) Add(c witness.Counts) {
	r.Reads, r.Writes, r.Away = r.Reads+c.Reads, r.Writes+c.Writes, r.Away+c.Away
	r.Unreadable, r.Lost = r.Unreadable+c.Unreadable, r.Lost+c.Lost+c.Vanished+c.Resurrected
	r.Details = append(r.Details, c.Details...)
}

// Wrong says what has gone wrong, by rule 1; it is empty if nothing has.
func (r Row) Wrong() (list []string) {
	for _, is := range []struct {
		so   bool
		text string
	}{
		{r.Tried == 0, "never tried"},
		{r.Survived < r.Tried, fmt.Sprintf("survived %d of %d times", r.Survived, r.Tried)},
		{r.Unreadable > 0, fmt.Sprintf("%d unreadable moments", r.Unreadable)},
		{r.Lost > 0, fmt.Sprintf("%d objects or updates lost", r.Lost)},
		{r.Reads < leastReads, fmt.Sprintf("%d reads, which is too few to see anything", r.Reads)},
		{r.Writes < leastWrites, fmt.Sprintf("%d writes, which is too few to lose anything", r.Writes)},
	} {
		if is.so {
			list = append(list, is.text)
		}
	}
	return list
}

// ending of the files of rows.
const ending = ".rows.json"

// Append adds a row to those of a suite, in a folder that it makes where it is missing.
func Append(folder, suite string, row Row) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make folder for rows: %w", err)
	}
	path := filepath.Join(folder, suite+ending)
	rows, err := read(path)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(append(rows, row), "", "  ")
	if err != nil {
		return fmt.Errorf("encode rows: %w", err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	return nil
}

func read(path string) (rows []Row, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read rows: %w", err)
	}
	if err := json.Unmarshal(data, &rows); err != nil {
		return nil, fmt.Errorf("read rows of %s: %w", path, err)
	}
	return rows, nil
}

// Load reads the rows of all suites of a folder.
func Load(folder string) (all []Row, err error) {
	files, err := filepath.Glob(filepath.Join(folder, "*"+ending))
	if err != nil {
		return nil, fmt.Errorf("look for rows: %w", err)
	}
	slices.Sort(files)
	for _, file := range files {
		rows, err := read(file)
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}

// Report is a finished run.
type Report struct {
	Cases []Row `json:"cases"`
	// Wrong names each case that has gone wrong, with why.
	Wrong []string `json:"wrong,omitempty"`
}

// Judge sums up what the cases of the given names have found.
func Judge(rows []Row, names []string) Report {
	report := Report{Cases: rows}
	for _, row := range rows {
		if wrong := row.Wrong(); len(wrong) > 0 {
			report.Wrong = append(report.Wrong, row.Fault+": "+strings.Join(append(wrong, row.Details...), "; "))
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(rows, func(r Row) bool { return r.Fault == name }) {
			report.Wrong = append(report.Wrong, name+": has not come to its end")
		}
	}
	return report
}
