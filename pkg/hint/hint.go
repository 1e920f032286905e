// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hint holds the errors that people read: what was seen, whether it is safe to stop here, what to type next.
//
// It imports the standard library alone. The text is put together in one place, Render, which the main program calls.
package hint

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Exit codes of the program.
const (
	ExitDone        = 0
	ExitError       = 1
	ExitDrifted     = 2
	ExitTimeout     = 124
	ExitInterrupted = 130
)

// Error is an error with what its reader needs to go on.
type Error struct {
	// Err is what was seen.
	Err error
	// Stage is the stage of a rotation in which it was seen, if any.
	Stage string
	// Safe says in a few words what holds if everything is left as it is.
	Safe string
	// Hints are commands or actions, the best one first.
	Hints []string
	// Exit is the exit code, ExitError where it is 0.
	Exit int
}

// Error implements error with the first line alone.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// New is an error with hints.
func New(err error, hints ...string) *Error { return &Error{Err: err, Hints: hints} }

// Errorf is an error with one hint.
func Errorf(hint, format string, args ...any) *Error {
	return &Error{Err: fmt.Errorf(format, args...), Hints: []string{hint}}
}

// AtStage says where in a rotation an error was met. What is known already is kept.
func AtStage(err error, stage, safe string, hints ...string) error {
	if err == nil {
		return nil
	}
	var known *Error
	if !errors.As(err, &known) {
		return &Error{Err: err, Stage: stage, Safe: safe, Hints: hints}
	}
	merged := &Error{Err: err, Stage: known.Stage, Safe: known.Safe, Hints: known.Hints, Exit: known.Exit}
	if merged.Stage == "" {
		merged.Stage = stage
	}
	if merged.Safe == "" {
		merged.Safe = safe
	}
	for _, h := range hints {
		if !contains(merged.Hints, h) {
			merged.Hints = append(merged.Hints, h)
		}
	}
	return merged
}

// Midway takes from an error what it says of the state. A refusal of a control plane that is looked at before anything begins says
// that nothing was changed; in the middle of something it is for that to say how it stands.
func Midway(err error) error {
	known, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	without := *known
	without.Safe = ""
	return &without
}

func contains(list []string, s string) bool {
	return slices.Contains(list, s)
}

// ExitCode is the exit code for an error, 0 for none.
func ExitCode(err error) int {
	if err == nil {
		return ExitDone
	}
	var known *Error
	if errors.As(err, &known) && known.Exit != 0 {
		return known.Exit
	}
	return ExitError
}

// Render is the text of an error: one line "error: …", then what is known of stage, safety and the way on.
func Render(err error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "error: %s\n", err)
	var known *Error
	if !errors.As(err, &known) {
		return b.String()
	}
	switch {
	case known.Stage != "" && known.Safe != "":
		fmt.Fprintf(&b, "  stage: %s (%s)\n", known.Stage, known.Safe)
	case known.Stage != "":
		fmt.Fprintf(&b, "  stage: %s\n", known.Stage)
	case known.Safe != "":
		fmt.Fprintf(&b, "  state: %s\n", known.Safe)
	}
	for _, h := range known.Hints {
		fmt.Fprintf(&b, "  hint:  %s\n", h)
	}
	return b.String()
}
