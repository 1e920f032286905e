// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

// A migration on its own is no gap in what a rotation proves that was stopped before it and is gone on with after it: else
// baselines would be recorded again and again.
func TestWhatIsGoneOnWithIsProvenByItsOwnRecord(t *testing.T) {
	t.Parallel()
	between := map[string]ledger.Rotation{
		"under the old key, before the promotion":           {ID: "m", To: key("1"), Config: &encconfig.Description{Digest: "sha256:before"}},
		"under the new key, before its promotion was noted": {ID: "m", To: key("2"), Config: &encconfig.Description{Digest: "sha256:x"}},
	}
	for _, mode := range []Mode{Resume, Rollback} {
		for name, migration := range between {
			t.Run(string(mode)+", a migration "+name, func(t *testing.T) {
				t.Parallel()
				r, _ := after(t, mode, nil, nil)
				r.Continue = true
				migration.CompletionTime = &migratedAt
				require.NoError(t, r.Ledger().Update(t.Context(), func(l *ledger.Ledger) {
					if mode == Rollback {
						l.Rotations[0].Command, l.Rotations[0].Resources = string(Rollback), []string{"secrets", "configmaps"}
					}
					l.Begin(migration)
				}))
				agreed := *r.Files["n1"].Config
				o := plan.Observed{Nodes: []plan.Node{{Name: "n1", Config: &agreed, Loaded: agreed.Digest}}}
				book, _, err := r.Ledger().Load(t.Context())
				require.NoError(t, err)

				goOn := r.goOn
				if mode == Rollback {
					goOn = r.rollBack
				}
				done, err := goOn(t.Context(), o, book)
				require.NoError(t, err)
				require.False(t, done)

				book, _, err = r.Ledger().Load(t.Context())
				require.NoError(t, err)
				r.progress(&o, book, agreed, migratedAt)
				assert.True(t, o.Progress.Settled)
				assert.True(t, o.Progress.Migrated)
			})
		}
	}
}
