// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Command report prints what the fault suite has found, writes it as faults.json and faults.md beside the rows that it read,
// and fails if a number is wrong or a case has not come to its end.
//
//	report --dir _output/faults [--full]
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/kubectl-encryption/kubectl-encryption/test/faults/book"
	"github.com/kubectl-encryption/kubectl-encryption/test/faults/catalogue"
)

func main() {
	dir := flag.String("dir", "", "folder with the rows")
	full := flag.Bool("full", false, "every case was to be tried, not the short set")
	flag.Parse()
	if err := report(os.Stdout, *dir, *full); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

func report(out io.Writer, dir string, full bool) error {
	rows, err := book.Load(dir)
	if err != nil {
		return err
	}
	var names []string
	for _, s := range []catalogue.Suite{catalogue.Bare, catalogue.Node} {
		for _, c := range catalogue.Of(s, full) {
			names = append(names, c.Name)
		}
	}
	r := book.Judge(rows, names)
	r.Text(out)
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	var markdown bytes.Buffer
	r.Markdown(&markdown)
	err = errors.Join(
		os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "faults.json"), append(data, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "faults.md"), markdown.Bytes(), 0o644),
	)
	if len(r.Wrong) > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d cases have gone wrong", len(r.Wrong), len(names)))
	}
	return err
}
