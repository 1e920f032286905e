// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"errors"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
)

// ErrReplan is returned by a step that was not done, since the nodes have changed since it was planned.
var ErrReplan = errors.New("the nodes have changed meanwhile")

// maxReplans is how often the nodes may change under an operation before it gives up.
const maxReplans = 3

// Step is what is told of a step.
type Step struct {
	// Stage is its stable name, Text what it does, for people.
	Stage, Text string
	// Ahead is how many steps are to come after it, as far as that is known.
	Ahead int
}

// Step does a step, and tells of its begin and, with what it says of its result, of its end. One that fails is told of by nobody
// here: its error is.
func (o *Operation) Step(s Step, do func() (result string, err error)) error {
	started := time.Now()
	o.number++
	number, total := o.number, o.number+s.Ahead
	o.Emit(event.StepStarted{Number: number, Total: total, Stage: s.Stage, Text: s.Text})
	result, err := do()
	if err != nil {
		return err
	}
	o.Emit(event.StepDone{Number: number, Total: total, Stage: s.Stage, Text: s.Text + result, Elapsed: time.Since(started)})
	return nil
}

// Replan tells whether the step that has ended with an error is to be planned again, as it was not done. That is told, and the step
// not counted.
func (o *Operation) Replan(err error) bool {
	if !errors.Is(err, ErrReplan) || o.replans >= maxReplans {
		return false
	}
	o.replans++
	o.number--
	o.Emit(event.Notice{Text: err.Error() + ": planning again"})
	return true
}
