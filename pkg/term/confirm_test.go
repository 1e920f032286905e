// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package term_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/term"
)

func TestConfirm(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		typed string
		want  bool
	}{
		"y":                         {"y\n", true},
		"yes in capitals":           {"YES\n", true},
		"yes on Windows":            {"yes\r\n", true},
		"yes with blanks around it": {"  yes \n", true},
		"n":                         {"n\n", false},
		"the enter key alone":       {"\n", false},
		"something else":            {"yeah\n", false},
		"y and the end of input":    {"y", false},
		"the end of input":          {"", false},
		"more than a line may hold": {strings.Repeat("y", 1000) + "\n", false},
		"yes in the second line":    {"no\nyes\n", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			got, err := term.Confirm(t.Context(), strings.NewReader(test.typed), &out, "Continue?")
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
			assert.Equal(t, "Continue? (y/N): ", strings.TrimSuffix(out.String(), "\n"))
		})
	}
}

func TestConfirm_leaves_the_rest_of_the_input(t *testing.T) {
	t.Parallel()
	in := strings.NewReader("y\nthe rest")
	ok, err := term.Confirm(t.Context(), in, io.Discard, "Continue?")
	require.NoError(t, err)
	assert.True(t, ok)
	rest, err := io.ReadAll(in)
	require.NoError(t, err)
	assert.Equal(t, "the rest", string(rest))
}

func TestConfirm_is_no_where_input_or_output_fail(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	ok, err := term.Confirm(t.Context(), iotest.ErrReader(broken), io.Discard, "Continue?")
	require.ErrorIs(t, err, broken)
	assert.False(t, ok)

	closed, w := io.Pipe()
	require.NoError(t, closed.Close())
	ok, err = term.Confirm(t.Context(), strings.NewReader("y\n"), w, "Continue?")
	require.ErrorIs(t, err, io.ErrClosedPipe)
	assert.False(t, ok)
}

func TestConfirm_ends_with_its_context(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in, typing := io.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			synctest.Wait() // until Confirm waits for an answer
			cancel()
		}()
		ok, err := term.Confirm(ctx, in, io.Discard, "Continue?")
		require.ErrorIs(t, err, context.Canceled)
		assert.False(t, ok)
		require.NoError(t, typing.Close())
	})
}
