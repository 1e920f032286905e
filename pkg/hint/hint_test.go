// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package hint_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
)

var update = flag.Bool("update", false, "write the golden files")

func TestRender(t *testing.T) {
	t.Parallel()
	lagging := errors.New("kube-apiserver on cp-2 still runs config sha256:0c77 after 3m0s")
	const safe = "safe to leave: nothing is written with the new key yet"
	tests := map[string]error{
		"a plain error":             lagging,
		"an error with hints":       hint.New(lagging, "kubectl encryption rotate --resume", "kubectl encryption rotate --abort"),
		"an error with one hint":    hint.Errorf("look at the node", "node %q is gone: %w", "cp-2", lagging),
		"a stage that is safe":      hint.AtStage(lagging, "add-read-key", safe, "resume with  kubectl encryption rotate --resume"),
		"a stage alone":             hint.AtStage(lagging, "promote", ""),
		"a state without a stage":   hint.AtStage(lagging, "", "nothing was changed"),
		"an error that was wrapped": fmt.Errorf("rotate: %w", hint.AtStage(lagging, "migrate", safe, "look again")),
		"a stage that was known already": hint.AtStage(
			hint.AtStage(hint.New(lagging, "first"), "promote", safe, "second"), "migrate", "other", "second", "third",
		),
	}
	for name, err := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireGolden(t, strings.ReplaceAll(name, " ", "-")+".golden", hint.Render(err))
		})
	}
}

func TestExitCode(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err  error
		want int
	}{
		"no error":                 {nil, hint.ExitDone},
		"any error":                {errors.New("no"), hint.ExitError},
		"an error with hints":      {hint.New(errors.New("no")), hint.ExitError},
		"an error with its code":   {&hint.Error{Err: errors.New("no"), Exit: hint.ExitDrifted}, hint.ExitDrifted},
		"a wrapped code":           {fmt.Errorf("a: %w", &hint.Error{Err: errors.New("no"), Exit: hint.ExitTimeout}), hint.ExitTimeout},
		"a code that gets a stage": {hint.AtStage(&hint.Error{Err: errors.New("no"), Exit: hint.ExitInterrupted}, "s", ""), hint.ExitInterrupted},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, hint.ExitCode(test.err))
		})
	}
}

func TestAtStage_keeps_the_cause(t *testing.T) {
	t.Parallel()
	require.NoError(t, hint.AtStage(nil, "promote", "safe"))
	cause := fmt.Errorf("wait: %w", context.DeadlineExceeded)
	once := hint.AtStage(cause, "promote", "")
	require.ErrorIs(t, once, context.DeadlineExceeded)
	require.ErrorIs(t, hint.AtStage(once, "migrate", ""), context.DeadlineExceeded)
	assert.Equal(t, cause.Error(), once.Error(), "the first line alone")
}

func TestAtStage_leaves_the_error_that_it_is_given_as_it_is(t *testing.T) {
	t.Parallel()
	first := hint.New(errors.New("no"), "one")
	_ = hint.AtStage(first, "promote", "safe", "two")
	assert.Equal(t, hint.New(errors.New("no"), "one"), first)
}

func requireGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

func TestMidway_takes_the_state_and_nothing_else(t *testing.T) {
	t.Parallel()
	refusal := &hint.Error{Err: errors.New("not ready"), Safe: "nothing was changed", Hints: []string{"wait"}}
	said := hint.AtStage(hint.Midway(fmt.Errorf("look: %w", refusal)), "promote", "nothing is written with the new key yet")
	assert.Equal(t, "error: not ready\n  stage: promote (nothing is written with the new key yet)\n  hint:  wait\n", hint.Render(said))
	assert.Equal(t, "nothing was changed", refusal.Safe, "what others hold is left as it is")
	plain := errors.New("no answer")
	assert.Equal(t, plain, hint.Midway(plain))
	assert.NoError(t, hint.Midway(nil))
}
