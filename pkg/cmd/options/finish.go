// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package options

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
)

// Stream is what is remembered of the events of a command.
type Stream struct {
	// Ended: the last event was sent, Finished or Failed.
	Ended bool
}

// streams marks a command of which -o json prints events, one a line.
const streams = "events"

// Streaming marks a command of which -o json prints events: whichever way it ends, the last one is Finished or Failed.
func Streaming(cmd *cobra.Command) {
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[streams] = "true"
}

// Finish has a command end as its readers need it: what it says to type next reaches the same cluster, and its events have an
// end also where it was refused before it began. Every command is called through it.
func (s Shared) Finish(run func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := run(cmd, args)
		output := cmd.Flags().Lookup("output")
		if err != nil && cmd.Annotations[streams] != "" && output != nil && output.Value.String() == "json" && !s.Stream.Ended {
			emit, closeSink := s.Sink("json")
			defer closeSink()
			emit(Failed(err))
		}
		return s.aimed(err)
	}
}

// aimed is an error whose hints reach the same cluster.
func (s Shared) aimed(err error) error {
	known, ok := errors.AsType[*hint.Error](err)
	target := TargetOf(s.Config)
	if !ok || target == "" {
		return err
	}
	return &hint.Error{Err: err, Stage: known.Stage, Safe: known.Safe, Hints: target.AimAll(known.Hints), Exit: known.Exit}
}

// aim aims what events say, and takes note of the last one.
func (s Shared) aim(emit event.Sink) event.Sink {
	target := TargetOf(s.Config)
	return func(e event.Event) {
		switch known := e.(type) {
		case event.Notice:
			e = event.Notice{Text: target.Aim(known.Text)}
		case event.Warning:
			e = event.Warning{Text: target.Aim(known.Text)}
		case event.Finished:
			known.Text = target.Aim(known.Text)
			e = known
		case event.Failed:
			known.Hints = target.AimAll(known.Hints)
			e = known
		}
		if s.Stream != nil {
			switch e.(type) {
			case event.Finished, event.Failed:
				s.Stream.Ended = true
			}
		}
		emit(e)
	}
}
