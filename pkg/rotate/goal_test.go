// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
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

// A record that is open from a time before the nodes went on, as that of an etcd that was restored, must not let its key write again.
func TestARotationThatWasOvertakenIsEndedAndNotGoneOnWith(t *testing.T) {
	t.Parallel()
	r, _ := after(t, Resume, nil, nil)
	r.Cluster.Config = timed(t)
	agreed := config(key("5"), key("2"), key("1"))
	r.Files["n1"] = agentapi.State{Config: agreed, HighestWritten: 5, HighestKey: 5}
	o := plan.Observed{Nodes: []plan.Node{{Name: "n1", Config: agreed, Loaded: agreed.Digest, HighestWritten: 5}}}
	book, _, err := r.Ledger().Load(t.Context())
	require.NoError(t, err)
	r.room = func(context.Context, *controlplane.ControlPlane, []kube.Resource) error { return nil }
	_, err = r.goOn(t.Context(), o, book)
	require.NoError(t, err)
	assert.True(t, r.goal.Target.Is(key("5")), "the goal is %s", r.goal.Target)
	book, _, err = r.Ledger().Load(t.Context())
	require.NoError(t, err)
	assert.True(t, book.ByID("run").Aborted)
}

func TestAKeyThatHasWrittenIsBroughtBackAndNotReplaced(t *testing.T) {
	t.Parallel()
	open := encconfig.Key{Provider: encconfig.AESGCM, Name: "2", Fingerprint: "f2"}
	older, newer := config(key("1")), config(open, key("1"))
	for name, tc := range map[string]struct {
		used    bool
		history []agentapi.Revision
		want    encconfig.Key
		refused bool
	}{
		"it has written, and a history has it":       {true, []agentapi.Revision{{Config: *newer}}, open, false},
		"it has written, and nobody has it":          {true, nil, encconfig.Key{}, true},
		"it has not written => another in its place": {false, nil, key("3"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := after(t, Resume, nil, nil)
			r.Files["n1"] = agentapi.State{Config: older, History: tc.history, HighestKey: 2}
			require.NoError(t, r.Ledger().Update(t.Context(), func(l *ledger.Ledger) {
				l.Rotations[0].To, l.Rotations[0].Used = open, tc.used
			}))
			book, _, err := r.Ledger().Load(t.Context())
			require.NoError(t, err)
			_, err = r.goOn(t.Context(), plan.Observed{Nodes: []plan.Node{{Name: "n1", Config: older, Loaded: older.Digest}}}, book)
			if tc.refused {
				require.ErrorContains(t, err, "key aesgcm/2 has written, and no node has it any more")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tc.want, r.goal.Target)
		})
	}
}
