// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
)

// An older revision that was put in place, and the newer one after it, leave the digest of the record. What was stored meanwhile
// is under the older key.
func TestARestorationByHandEndsWhatIsProven(t *testing.T) {
	t.Parallel()
	d := *config(key("3"), key("1"))
	ended := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	late := ended.Add(time.Hour)
	migrated := map[string]ledger.Migration{"secrets": {Baseline: "7", Complete: true, CompletionTime: &ended}}
	record := ledger.Rotation{ID: "1", Config: &d, To: key("3"), Migrations: migrated, CompletionTime: &ended}
	history := []agentapi.Revision{{Number: 7, Run: "r"}, {Number: 8, Run: agentapi.RestoreRun}, {Number: 9, Run: agentapi.RestoreRun}, {Number: 10, Run: "r"}}
	files := map[string]agentapi.State{"n1": {History: history}, "n2": {History: history[:1]}}
	newest := restored(files)
	assert.Equal(t, map[string]int{"n1": 9}, newest)

	book := &ledger.Ledger{Rotations: []ledger.Rotation{record}}
	require.NotEmpty(t, book.Unneeded(d, []string{"secrets"}, late, time.Minute), "by the digest alone key 1 is proven not to be needed")
	notice := func() { noteRestored(book, newest, late) }
	notice()
	assert.Empty(t, book.Unneeded(d, []string{"secrets"}, late, time.Minute))
	assert.Nil(t, book.Trusted(key("3"), d.Digest))

	book.Begin(ledger.Rotation{ID: "2", Config: &d, StartDigest: d.Digest, To: key("3"), Migrations: migrated, CompletionTime: &ended})
	notice()
	assert.NotNil(t, book.Trusted(key("3"), d.Digest), "it is noticed once, and what was migrated since counts")
	newest = restored(map[string]agentapi.State{"n1": {History: history[3:]}})
	notice()
	assert.NotNil(t, book.Trusted(key("3"), d.Digest), "a history that has forgotten it tells nothing new")
	newest = map[string]int{"n1": 12}
	notice()
	assert.Nil(t, book.Trusted(key("3"), d.Digest))
}
