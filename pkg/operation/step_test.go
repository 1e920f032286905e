// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
)

func TestAStepThatIsPlannedAgainIsNeitherDoneNorCounted(t *testing.T) {
	t.Parallel()
	var told []string
	o := &Operation{Settings: Settings{Emit: func(e event.Event) {
		switch e := e.(type) {
		case event.StepStarted:
			told = append(told, fmt.Sprintf("%d/%d %s", e.Number, e.Total, e.Text))
		case event.StepDone:
			told = append(told, fmt.Sprintf("%d/%d done: %s", e.Number, e.Total, e.Text))
		case event.Notice:
			told = append(told, e.Text)
		}
	}}}
	step := Step{Stage: "s", Text: "give", Ahead: 2}

	err := o.Step(step, func() (string, error) { return "", fmt.Errorf("n1: %w", ErrReplan) })
	require.ErrorIs(t, err, ErrReplan)
	assert.True(t, o.Replan(err))
	require.NoError(t, o.Step(step, func() (string, error) { return ": 7", nil }))

	assert.Equal(t, []string{"1/3 give", "n1: the nodes have changed meanwhile: planning again", "1/3 give", "1/3 done: give: 7"}, told)
	assert.False(t, o.Replan(errors.New("broken")), "what has failed otherwise has failed")
	for range maxReplans - 1 {
		assert.True(t, o.Replan(ErrReplan))
	}
	assert.False(t, o.Replan(ErrReplan), "nodes that change under every plan are not followed for ever")
}

func TestWhatIsLeftBehindIsNoFailureOfTheWork(t *testing.T) {
	t.Parallel()
	require.NoError(t, tidied(nil, nil))
	failed, left := errors.New("it failed"), errors.New("the lock could not be released")
	require.EqualError(t, tidied(failed, nil), "it failed")
	require.ErrorIs(t, tidied(failed, left), failed)
	require.ErrorIs(t, tidied(failed, left), left)
	said := hint.Render(tidied(nil, left))
	assert.Contains(t, said, "what was to be done is done")
	assert.Contains(t, said, "kubectl -n kube-system get jobs,pods,leases")
}

func TestAReloadThatFailedIsNoReasonToRestart(t *testing.T) {
	t.Parallel()
	o := &Operation{View: &observe.View{}}
	assert.Contains(t, hint.Render(o.notYet([]string{"n1: its last reload failed"}, true)), "don't restart")
	assert.NotContains(t, hint.Render(o.notYet([]string{"n1: it has not looked at it yet"}, false)), "don't restart")
	assert.Equal(t, hint.ExitTimeout, hint.ExitCode(o.notYet(nil, false)))
}
