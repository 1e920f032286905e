// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Command tally runs one suite of tests and counts, and sums up several suites at the end.
//
//	tally --suite unit --dir _output/test -- go test -json ./...
//	tally --report --dir _output/test lint unit integration
//
// A suite that can't run, runs no test, or skips one counts as failed: what did not run has not passed.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	suite := flag.String("suite", "", "name of the suite that the command runs")
	dir := flag.String("dir", "", "folder for the counts")
	plain := flag.Bool("plain", false, "the command is one check of its own, not go test -json")
	report := flag.Bool("report", false, "sum up the suites that are named")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	t := tally{dir: *dir, plain: *plain, out: os.Stdout, errOut: os.Stderr}
	var err error
	if *report {
		err = t.sumUp(flag.Args())
	} else {
		err = t.runSuite(ctx, *suite, flag.Args())
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
}

// tally is where counts and output go.
type tally struct {
	dir         string
	plain       bool
	out, errOut io.Writer
}

// counts of one suite.
type counts struct {
	Passed, Failed int
}

func (t tally) runSuite(ctx context.Context, suite string, command []string) error {
	if suite == "" || t.dir == "" || len(command) == 0 {
		return errors.New("needs --suite, --dir and a command")
	}
	fmt.Fprintf(t.out, "== %s: %s\n", suite, strings.Join(command, " "))
	started := time.Now()
	c, err := t.count(ctx, command)
	if err != nil && c.Failed == 0 {
		c.Failed = 1
	}
	if c.Passed+c.Failed == 0 {
		c.Failed, err = 1, errors.New("no test has run")
	}
	fmt.Fprintf(t.out, "== %s: %d passed, %d failed (%s)\n", suite, c.Passed, c.Failed, time.Since(started).Round(time.Second))
	data, jsonErr := json.Marshal(c)
	writeErr := os.MkdirAll(t.dir, 0o755)
	if writeErr == nil {
		writeErr = os.WriteFile(filepath.Join(t.dir, suite+".json"), data, 0o644)
	}
	if err == nil && c.Failed > 0 {
		err = fmt.Errorf("suite %s: %d failed", suite, c.Failed)
	}
	return errors.Join(err, jsonErr, writeErr)
}

func (t tally) count(ctx context.Context, command []string) (counts, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stderr = t.errOut
	if t.plain {
		cmd.Stdout = t.out
		if err := cmd.Run(); err != nil {
			return counts{Failed: 1}, err
		}
		return counts{Passed: 1}, nil
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return counts{}, err
	}
	if err := cmd.Start(); err != nil {
		return counts{}, err
	}
	c := read(out, t.out)
	return c, cmd.Wait()
}

// slow is from how many seconds on a test that passes gets a line of its own, so that it is seen where the time goes.
const slow = 10

// event is a line of go test -json (go doc test2json).
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

// read counts tests, sub-tests included, and prints what failed with its output, and a line for each package.
func read(in io.Reader, out io.Writer) counts {
	var c counts
	outputs := map[string][]string{}
	lines := bufio.NewScanner(in)
	const longest = 16 << 20
	lines.Buffer(nil, longest)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text()) // not an event: a compiler's message
			continue
		}
		id := e.Package + " " + e.Test
		switch {
		case e.Action == "output":
			outputs[id] = append(outputs[id], e.Output)
			continue
		case e.Action == "build-output":
			fmt.Fprint(out, e.Output)
			continue
		case e.Action == "skip" && e.Test == "", e.Action == "start", e.Action == "run":
			continue
		}
		c.add(e, outputs[id], out)
		if slices.Contains([]string{"pass", "fail", "skip"}, e.Action) {
			delete(outputs, id)
		}
	}
	return c
}

func (c *counts) add(e event, output []string, out io.Writer) {
	switch {
	case e.Action == "pass" && e.Test != "":
		c.Passed++
		if e.Elapsed >= slow {
			fmt.Fprintf(out, "      %s  %.0fs\n", e.Test, e.Elapsed)
		}
	case e.Action == "pass":
		fmt.Fprintf(out, "ok    %s  %.1fs\n", e.Package, e.Elapsed)
	case e.Action == "skip":
		c.Failed++
		fmt.Fprintf(out, "SKIPPED, which counts as failed: %s %s\n%s", e.Package, e.Test, strings.Join(output, ""))
	case e.Action == "fail" && e.Test != "":
		c.Failed++
		fmt.Fprintf(out, "%s", strings.Join(output, ""))
	case e.Action == "fail":
		fmt.Fprintf(out, "%sFAIL  %s  %.1fs\n", strings.Join(output, ""), e.Package, e.Elapsed)
	}
}

// sumUp prints a line a suite and the total, as the last lines of a run.
func (t tally) sumUp(suites []string) error {
	var total counts
	for _, suite := range suites {
		c := counts{Failed: 1}
		data, err := os.ReadFile(filepath.Join(t.dir, suite+".json"))
		if err == nil {
			err = json.Unmarshal(data, &c)
		}
		if err != nil {
			fmt.Fprintf(t.out, "suite %s has not run\n", suite)
		}
		fmt.Fprintf(t.out, "%s: %d passed, %d failed\n", suite, c.Passed, c.Failed)
		total.Passed += c.Passed
		total.Failed += c.Failed
	}
	fmt.Fprintf(t.out, "total: %d passed, %d failed\n", total.Passed, total.Failed)
	if total.Failed > 0 {
		return fmt.Errorf("%d failed", total.Failed)
	}
	return nil
}
