// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package book_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/test/faults/book"
	"github.com/kubectl-encryption/kubectl-encryption/test/faults/witness"
)

func good() book.Row {
	return book.Row{Fault: "a cut", Tried: 3, Survived: 3, Reads: 1000, Writes: 100}
}

func TestARowIsWrong(t *testing.T) {
	assert.Empty(t, good().Wrong())
	for name, row := range map[string]struct {
		change func(*book.Row)
		says   string
	}{
		"that was never tried":         {func(r *book.Row) { r.Tried, r.Survived = 0, 0 }, "never tried"},
		"that was not survived once":   {func(r *book.Row) { r.Survived = 2 }, "survived 2 of 3 times"},
		"with an unreadable moment":    {func(r *book.Row) { r.Unreadable = 1 }, "1 unreadable moments"},
		"with something lost":          {func(r *book.Row) { r.Lost = 1 }, "1 objects or updates lost"},
		"in which hardly anybody read": {func(r *book.Row) { r.Reads = 9 }, "9 reads"},
		"in which nobody wrote":        {func(r *book.Row) { r.Writes = 0 }, "0 writes"},
	} {
		t.Run(name, func(t *testing.T) {
			r := good()
			row.change(&r)
			require.Len(t, r.Wrong(), 1)
			assert.Contains(t, r.Wrong()[0], row.says)
		})
	}
}

func TestEveryKindOfLossIsALoss(t *testing.T) {
	r := good()
	r.Add(witness.Counts{Reads: 1, Writes: 2, Unreadable: 4, Lost: 8, Vanished: 16, Resurrected: 32, Details: []string{"x"}})
	assert.Equal(t, book.Row{
		Fault: "a cut", Tried: 3, Survived: 3, Reads: 1001, Writes: 102, Unreadable: 4, Lost: 56, Details: []string{"x"},
	}, r)
}

func TestRowsOfAllSuitesAreJudged(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "new")
	other := good()
	other.Fault, other.Lost = "a kill", 1
	require.NoError(t, book.Append(folder, "bare", good()))
	require.NoError(t, book.Append(folder, "bare", good()))
	require.NoError(t, book.Append(folder, "node", other))
	rows, err := book.Load(folder)
	require.NoError(t, err)
	require.Equal(t, []book.Row{good(), good(), other}, rows)
	assert.Equal(t, []string{"a kill: 1 objects or updates lost", "an eviction: has not come to its end"},
		book.Judge(rows, []string{"a cut", "a kill", "an eviction"}).Wrong)
	assert.Empty(t, book.Judge(rows[:2], []string{"a cut"}).Wrong)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "bare.rows.json"), []byte("{"), 0o600))
	_, err = book.Load(folder)
	require.ErrorContains(t, err, "bare.rows.json")
	require.ErrorContains(t, book.Append(folder, "bare", good()), "bare.rows.json")
}

func TestTheTable(t *testing.T) {
	other := good()
	other.Fault, other.Lost = "a kill", 1
	report := book.Judge([]book.Row{good(), other}, nil)
	var text, markdown strings.Builder
	report.Text(&text)
	report.Markdown(&markdown)
	assert.Equal(t, `FAULT     TRIED  SURVIVED  READS  WRITES  UNREADABLE  LOST
a cut         3         3   1000     100           0     0
a kill        3         3   1000     100           0     1
2 faults      6         6   2000     200           0     1
WRONG: a kill: 1 objects or updates lost
`, text.String())
	assert.Equal(t, `| fault | tried | survived | reads | writes | unreadable | lost |
|---|--:|--:|--:|--:|--:|--:|
| a cut | 3 | 3 | 1000 | 100 | 0 | 0 |
| a kill | 3 | 3 | 1000 | 100 | 0 | 1 |
| 2 faults | 6 | 6 | 2000 | 200 | 0 | 1 |

**Wrong:** a kill: 1 objects or updates lost
`, markdown.String())
}
