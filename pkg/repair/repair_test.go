// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/agreement"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/reload"
)

func key(name string) encconfig.Key { return encconfig.Key{Provider: encconfig.AESGCM, Name: name} }

// TestDistrust: a file that was put back may have the digest of one that was proven, and a node may have written with
// an older key in between. So what was proven under that digest must not let a key be pruned.
func TestDistrust(t *testing.T) {
	t.Parallel()
	d := encconfig.Description{Digest: "sha256:x", Rules: []encconfig.Rule{{
		Resources: []string{"secrets", "configmaps"}, Keys: []encconfig.Key{key("3"), key("1"), {Provider: encconfig.Identity}},
	}}}
	ended := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	migrated := map[string]ledger.Migration{"secrets": {Baseline: "7", Complete: true, CompletionTime: &ended}}
	book := &ledger.Ledger{HighestKey: 3, Rotations: []ledger.Rotation{
		{ID: "1", Config: &d, To: key("3"), Migrations: migrated, CompletionTime: &ended},
		{ID: "2", Config: &d, To: key("3"), Migrations: migrated, SettleTime: &ended, StartDigest: d.Digest},
	}}
	late := ended.Add(time.Hour)
	require.NotEmpty(t, book.Unneeded(d, []string{"secrets"}, late, time.Minute), "before, key 1 is proven not to be needed")

	book.Whole = &ledger.Verification{Digest: d.Digest}

	distrust(book, map[string]agentapi.State{"n1": {HighestKey: 9}}, late)

	assert.Empty(t, book.Unneeded(d, []string{"secrets"}, late, time.Minute))
	assert.Nil(t, book.Trusted(key("3"), d.Digest))
	assert.Nil(t, book.Whole, "nor was a key unused since a count of before")
	assert.Equal(t, uint64(9), book.HighestKey)
	assert.Equal(t, migrated, book.Rotations[0].Migrations, "what is over is kept for people")
	assert.Nil(t, book.Rotations[1].Migrations, "what is open begins anew")
	assert.Nil(t, book.Rotations[1].SettleTime)
}

// TestDistrust_endsAPrune: one that is gone on with takes out what was proven when it began. A node that has written with such
// a key since would store what nobody can read then.
func TestDistrust_endsAPrune(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	book := &ledger.Ledger{Rotations: []ledger.Rotation{
		{ID: "1", Command: ledger.CommandPrune, To: key("3"), Pruned: []encconfig.Key{key("1")}},
	}}
	distrust(book, nil, now)
	assert.Nil(t, book.Open(), "it proves anew what nothing needs")
	assert.True(t, book.Rotations[0].Aborted)
	assert.Equal(t, &now, book.Rotations[0].CompletionTime)

	book = &ledger.Ledger{Rotations: []ledger.Rotation{{ID: "1", Command: ledger.CommandPrune, To: key("3"), Forget: true, CompletionTime: &now}}}
	require.NotNil(t, book.Forgetting())
	distrust(book, nil, now)
	assert.Nil(t, book.Forgetting(), "no history loses a key that something may have been written with since")

	book = &ledger.Ledger{Rotations: []ledger.Rotation{{ID: "1", To: key("3")}}}
	distrust(book, nil, now)
	assert.NotNil(t, book.Open(), "a rotation goes on, and migrates anew")
}

// TestDistrust_forgetsSinceWhenAKeyIsUnused: a value may have come under the key and gone again between two counts, as a
// repaired file has the digest of before. Its superseded revisions are not as old as the first count.
func TestDistrust_forgetsSinceWhenAKeyIsUnused(t *testing.T) {
	t.Parallel()
	first := ledger.Verification{Time: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Digest: "sha256:x"}
	again := first
	again.Time = first.Time.Add(time.Hour)
	book := &ledger.Ledger{}
	book.NoteWhole(first, []encconfig.Key{key("1")})
	require.Equal(t, first.Time, book.UnusedSince(key("1"), again), "without a repair")

	distrust(book, nil, again.Time)

	assert.Equal(t, again.Time, book.UnusedSince(key("1"), again))
}

func TestHadAgreed(t *testing.T) {
	t.Parallel()
	made := agreement.Step{Targets: []agreement.Target{{Node: "n1"}}}
	known := agreement.Step{Targets: []agreement.Target{{Node: "n1", Want: encconfig.Description{Digest: "sha256:x"}}}}
	loaded := func(digests ...string) (o agreement.Observed) {
		for _, d := range digests {
			o.Nodes = append(o.Nodes, agreement.Node{TellsLoaded: true, Loaded: d})
		}
		return o
	}
	assert.True(t, hadAgreed(loaded("sha256:x", "sha256:x"), known), "files alone were wrong")
	assert.False(t, hadAgreed(loaded("sha256:x", "sha256:y"), known), "one has had another")
	assert.False(t, hadAgreed(loaded("sha256:x"), made), "nobody has had a file that is made now")
	assert.False(t, hadAgreed(agreement.Observed{Nodes: []agreement.Node{{}}}, known), "one does not tell")
}

func TestRepairTellsOfAHistoryThatIsNotWhole(t *testing.T) {
	t.Parallel()
	f := &Finding{Steps: []agreement.Step{{Kind: agreement.Done}}, Observed: agreement.Observed{Nodes: []agreement.Node{{Name: "n1"}, {Name: "n2", HistoryDamaged: true}}}}
	assert.Equal(t, []string{"the history of node n2 can't be read whole: a key that is in the rest of it alone is not found"}, warnings(f, nil))
}

func TestSilentNodes(t *testing.T) {
	t.Parallel()
	cp := &controlplane.ControlPlane{
		Instances: []controlplane.Instance{{Node: "n1", Pod: "a"}, {Node: "n10", Pod: "b"}, {Node: "n2", Pod: "c"}},
		Disagreements: []string{
			"the kube-apiserver on node n10 is not ready", "node n10 is not ready",
			"a kube-apiserver serves at 192.0.2.9, which is the address of no control-plane node's kube-apiserver",
		},
	}
	view := &observe.View{ControlPlane: cp, Errors: map[string]error{"n2": errors.New("connection refused")}}
	assert.Equal(t, []Silent{
		{Node: "n10", Reason: "the kube-apiserver on node n10 is not ready; node n10 is not ready"}, {Node: "n2", Reason: "connection refused"},
	}, silentNodes(view))
	cp.Foreign = controlplane.Foreign{Name: "k3s"}
	assert.Empty(t, silentNodes(view), "not for us to say")
}

func TestSilentIsMendedByTwoCommands(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{
		"ssh n3 sudo encryption-agent recipient > recipient.txt",
		"kubectl encryption join --name n3 --recipient @recipient.txt | ssh n3 sudo encryption-agent install",
	}, Silent{Node: "n3"}.Commands())
}

func TestExplainRepair(t *testing.T) {
	t.Parallel()
	r := &Run{Operation: &operation.Operation{}}
	refused := &agreement.Refusal{Reason: "two keys", Hints: []string{"look"}}
	assert.Equal(t, "error: two keys\n  stage: plan (nothing was changed)\n  hint:  look\n", hint.Render(r.explain(t.Context(), "plan", refused)))
	assert.Contains(t, hint.Render(r.explain(t.Context(), "plan", errChanged)), "hint:  go on with: kubectl encryption repair\n")
	r.Pushed = true
	text := hint.Render(r.explain(t.Context(), "agree", errors.New("broken")))
	assert.Contains(t, text, "stage: agree (safe to stop here: no key was taken out of any file")
	assert.Contains(t, text, "hint:  go on with: kubectl encryption repair\n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := r.explain(ctx, "await", ctx.Err())
	assert.Equal(t, hint.ExitInterrupted, hint.ExitCode(err))
	assert.NoError(t, r.explain(t.Context(), "agree", nil))
}

func TestAgreementText(t *testing.T) {
	t.Parallel()
	to := []agreement.Target{{Node: "n1"}, {Node: "n3"}}
	known := []agreement.Target{{Node: "n3", Want: encconfig.Description{Digest: "sha256:2108cc75a38025e1"}}}
	for want, step := range map[string]agreement.Step{
		"give n1, n3 the keys that they lack, behind the write keys that their kube-apiservers have": {Kind: agreement.Unite, Targets: to},
		"give n1, n3 the agreed file, made on n2":                                                    {Kind: agreement.Agree, Targets: to, Base: "n2"},
		"give n3 the agreed file, sha256:2108cc75a380, which n2 has":                                 {Kind: agreement.Agree, Targets: known, Base: "n2"},
		"give n3 the agreed file, sha256:2108cc75a380, from the history of n3":                       {Kind: agreement.Agree, Targets: known, Base: "n3", FromHistory: true},
		"wait until every kube-apiserver has loaded the file of its node (it looks once a minute)":   {Kind: agreement.Await},
	} {
		assert.Equal(t, want, text(step))
	}
}

func TestWhoRanAnotherConfigurationMayHaveWrittenWithAnotherKey(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		node agreement.Node
		want bool
	}{
		"it has loaded its file":                           {agreement.Node{Digest: "a", TellsLoaded: true, Loaded: "a"}, false},
		"its file was put back as it was":                  {agreement.Node{Digest: "a", TellsLoaded: true, Loaded: "a", Proven: false}, false},
		"it has loaded another one":                        {agreement.Node{Digest: "a", TellsLoaded: true, Loaded: "b"}, true},
		"it has loaded nothing that is known":              {agreement.Node{Digest: "a", TellsLoaded: true}, true},
		"before 1.34, and it has proven its file":          {agreement.Node{Digest: "a", Proven: true}, false},
		"before 1.34, and nobody knows what it has loaded": {agreement.Node{Digest: "a"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := agreement.Node{Digest: "a", TellsLoaded: true, Loaded: "a", Proven: true}
			assert.Equal(t, tt.want, ranAnother(agreement.Observed{Nodes: []agreement.Node{other, tt.node}}))
		})
	}
}

func TestWhichFailedReloadsAreOver(t *testing.T) {
	t.Parallel()
	at := func(minute int) time.Time { return time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC) }
	failed := reload.Evidence{TellsHash: true, Hash: "sha256:x", LastSuccess: at(1), LastFailure: at(5)}
	changed := func(change func(*reload.Evidence)) reload.Evidence {
		e := failed
		change(&e)
		return e
	}
	tests := map[string]struct {
		evidence reload.Evidence
		written  time.Time
		over     bool
	}{
		"the file that is loaded came after it":   {failed, at(6), true},
		"the file was there when it failed":       {failed, at(4), false},
		"nobody knows since when the file is":     {failed, time.Time{}, false},
		"another file is there":                   {changed(func(e *reload.Evidence) { e.Hash = "sha256:y" }), at(6), false},
		"it has reloaded since":                   {changed(func(e *reload.Evidence) { e.LastSuccess = at(7) }), at(6), false},
		"what is loaded is not told, before 1.34": {changed(func(e *reload.Evidence) { e.TellsHash, e.Hash = false, "" }), at(6), false},
		"nothing has failed":                      {changed(func(e *reload.Evidence) { e.LastFailure = time.Time{} }), at(6), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			times := overcome(map[string]reload.Evidence{"n1": tt.evidence}, map[string]agentapi.State{"n1": {Digest: "sha256:x", ModTime: tt.written}})
			if tt.over {
				assert.Equal(t, map[string]time.Time{"n1": at(5)}, times)
			} else {
				assert.Empty(t, times)
			}
		})
	}
}
