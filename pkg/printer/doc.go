// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package printer shows the events of a long command while it works. It has three formats, all of the same stream:
//
//   - Live, for a smart terminal: one line with a spinner, drawn at most five times a second, and gone at the end.
//     What is done stays above it: " ✓ 1/6 add key 8 as read key  41s".
//   - Plain, for everything else: one line for each step that is done, and one every ten seconds while a step
//     runs, so that a log tells a slow command from one that hangs.
//   - JSON: one event per line, see package event for the fields.
//
// JSON goes to standard output, everything else to standard error. Text of events may come from a cluster: Live and
// Plain pass it through term.Escape, JSON spells out what does not print.
//
// How a command ends badly is for its main program to say. Live and Plain mark the step that was running, no more.
package printer
