// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/test/faults/book"
	"github.com/kubectl-encryption/kubectl-encryption/test/faults/catalogue"
)

func TestAReportFailsUnlessEveryCaseHasEndedWell(t *testing.T) {
	folder := t.TempDir()
	row := func(name string) book.Row {
		return book.Row{Fault: name, Tried: 1, Survived: 1, Reads: 1000, Writes: 100}
	}
	for _, c := range append(catalogue.Of(catalogue.Bare, false), catalogue.Of(catalogue.Node, false)...) {
		require.NoError(t, book.Append(folder, string(c.Suite), row(c.Name)))
	}
	var out strings.Builder
	require.NoError(t, report(&out, folder, false), out.String())
	require.ErrorContains(t, report(&out, folder, true), "have gone wrong", "the other cases have left no row")

	wrong := row("one more")
	wrong.Unreadable = 1
	require.NoError(t, book.Append(folder, "bare", wrong))
	out.Reset()
	require.ErrorContains(t, report(&out, folder, false), "1 of ")
	assert.Contains(t, out.String(), "WRONG: one more: 1 unreadable moments")
	for _, name := range []string{"faults.json", "faults.md"} {
		data, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err)
		assert.Contains(t, string(data), "one more")
	}
}
