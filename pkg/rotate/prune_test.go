// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

// timed leads to a server that tells the time, as net/http does.
func timed(t *testing.T) *rest.Config {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL}
}

// stopped is a run that goes on with a prune of key 1, which was stopped before its first node was changed, or after; its count
// sees values under these keys.
func stopped(t *testing.T, seen ...encconfig.Key) *Run {
	t.Helper()
	agreed := config(key("3"), key("2"), key("1"))
	r := at(Prune, map[string]*encconfig.Description{"n1": agreed, "n2": agreed})
	r.goal = plan.Goal{}
	r.ID, r.Continue, r.Emit = "again", true, func(event.Event) {}
	for i := range r.View.ControlPlane.Instances {
		r.View.ControlPlane.Instances[i].Manifest.CompactionInterval = time.Minute
	}
	r.Cluster = &kube.Cluster{Typed: fake.NewClientset(), Config: timed(t)}
	long := time.Now().Add(-time.Hour)
	require.NoError(t, r.Ledger().Update(t.Context(), func(l *ledger.Ledger) {
		l.NoteWhole(usageAt(long, key("3")).Verification, []encconfig.Key{key("1")})
		l.Begin(ledger.Rotation{ID: "stopped", Command: string(Prune), To: key("3"), StartDigest: agreed.Digest, Pruned: []encconfig.Key{key("1")}})
	}))
	r.CountAll = func(context.Context, event.Sink) (*Usage, error) {
		u := usageAt(time.Now(), seen...)
		return &u, nil
	}
	return r
}

// A repair may have given every node the keys back, for one that had written with them.
func TestAPruneThatGoesOnProvesAnewWhatEveryNodeHas(t *testing.T) {
	t.Parallel()
	all, less := config(key("3"), key("2"), key("1")), config(key("3"), key("2"))
	less.Digest = "sha256:less"
	node := func(name string, c *encconfig.Description) plan.Node {
		return plan.Node{Name: name, Config: c, Loaded: c.Digest}
	}
	tests := map[string]struct {
		nodes  []plan.Node
		seen   []encconfig.Key
		drop   []encconfig.Key
		fail   string
		opened bool // a record of its own
	}{
		"nothing needs it => it leaves": {
			nodes: []plan.Node{node("n1", all), node("n2", all)}, seen: []encconfig.Key{key("3")}, drop: []encconfig.Key{key("1")}, opened: true,
		},
		"values need it now => it stays, and nothing is under way": {
			nodes: []plan.Node{node("n1", all), node("n2", all)}, seen: []encconfig.Key{key("3"), key("1")}, fail: "key aesgcm/1 is needed: 7 value(s)",
		},
		"one node is without it => that is finished": {
			nodes: []plan.Node{node("n1", less), node("n2", all)}, seen: []encconfig.Key{key("3"), key("1")}, drop: []encconfig.Key{key("1")},
		},
		"all are without it => that is put on record": {
			nodes: []plan.Node{node("n1", less), node("n2", less)}, seen: []encconfig.Key{key("3")}, drop: []encconfig.Key{key("1")},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := stopped(t, tt.seen...)
			book, _, err := r.Ledger().Load(t.Context())
			require.NoError(t, err)
			done, err := r.prune(t.Context(), plan.Observed{Nodes: tt.nodes}, book)
			book, _, loadErr := r.Ledger().Load(t.Context())
			require.NoError(t, loadErr)
			if tt.fail != "" {
				require.ErrorContains(t, err, tt.fail)
				assert.Empty(t, r.goal.Drop)
				assert.Nil(t, book.Open())
				return
			}
			require.NoError(t, err)
			assert.False(t, done)
			assert.Equal(t, tt.drop, r.goal.Drop)
			require.NotNil(t, book.Open())
			assert.Equal(t, r.record.ID, book.Open().ID)
			assert.Equal(t, tt.opened, book.ByID("stopped").Aborted)
		})
	}
}

// prune --history goes on with the histories, whenever it was killed: that each key is to be destroyed was agreed to then.
func TestAPruneOfTheHistoriesGoesOnWithThem(t *testing.T) {
	t.Parallel()
	all, less := config(key("3"), key("2"), key("1")), config(key("3"), key("2"))
	less.Digest = "sha256:less"
	ended := time.Now()
	tests := map[string]struct {
		config *encconfig.Description
		change func(*ledger.Rotation)
		forget bool
		done   bool
	}{
		"before a node was changed":                         {all, func(r *ledger.Rotation) { r.Forget = true }, true, false},
		"after all nodes were":                              {less, func(r *ledger.Rotation) { r.Forget = true }, true, false},
		"after the record was closed":                       {less, func(r *ledger.Rotation) { r.Forget, r.CompletionTime = true, &ended }, true, true},
		"a prune that is not of the histories":              {less, func(*ledger.Rotation) {}, false, false},
		"a prune of the histories that has come to its end": {less, func(r *ledger.Rotation) { r.CompletionTime = &ended }, false, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := stopped(t, key("3"))
			require.NoError(t, r.Ledger().Update(t.Context(), func(l *ledger.Ledger) { tt.change(l.ByID("stopped")) }))
			book, _, err := r.Ledger().Load(t.Context())
			require.NoError(t, err)
			node := func(name string) plan.Node { return plan.Node{Name: name, Config: tt.config, Loaded: tt.config.Digest} }
			done, err := r.prune(t.Context(), plan.Observed{Nodes: []plan.Node{node("n1"), node("n2")}}, book)
			require.NoError(t, err)
			assert.Equal(t, tt.done, done)
			assert.Equal(t, tt.forget, r.Forget)
			if tt.forget {
				assert.Equal(t, []encconfig.Key{key("1")}, r.dropped)
				assert.True(t, r.record.Forget, "it stays on record until it is done")
			}
		})
	}
}

func TestForgettingIsOverOnceAnythingCameAfter(t *testing.T) {
	t.Parallel()
	ended := time.Now()
	book := &ledger.Ledger{Rotations: []ledger.Rotation{{ID: "1", Command: string(Prune), Forget: true, CompletionTime: &ended}}}
	assert.NotNil(t, book.Forgetting())
	book.Begin(ledger.Rotation{ID: "2", To: key("4"), CompletionTime: &ended})
	assert.Nil(t, book.Forgetting(), "a rollback may have brought the key back")
	book = &ledger.Ledger{Rotations: []ledger.Rotation{{ID: "1", Command: string(Prune), Forget: true, Aborted: true, CompletionTime: &ended}}}
	assert.Nil(t, book.Forgetting())
}

func TestWhatIsProvenOfTheDataOutlastsAPushAloneThatIsKnown(t *testing.T) {
	t.Parallel()
	before, now := config(key("3"), key("2"), key("1")), config(key("3"), key("2"))
	now.Digest = "sha256:less"
	promoted := config(key("2"), key("3"))
	promoted.Digest = now.Digest
	tests := map[string]struct {
		last   plan.Kind
		sent   string
		now    *encconfig.Description
		proven bool
	}{
		"this run's own":                                    {plan.Push, "", now, true},
		"of a run that was stopped then":                    {plan.Await, now.Digest, now, true},
		"of a run that was stopped, with another write key": {plan.Await, now.Digest, promoted, false},
		"of somebody else":                                  {plan.Await, "", now, false},
		"of somebody else after a run's":                    {plan.Await, before.Digest, now, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			migrations := map[string]ledger.Migration{"secrets": {Objects: 7}}
			r := &Run{last: plan.Step{Kind: tt.last}}
			got := r.stillProven(ledger.Rotation{Config: before, Sent: tt.sent, Migrations: migrations}, *tt.now)
			if tt.proven {
				assert.Equal(t, migrations, got)
			} else {
				assert.Empty(t, got)
			}
		})
	}
}

// A node that is one step behind may have written with the older key after the baseline.
func TestWhatANodeThatIsBehindMayHaveWrittenIsMigratedAgain(t *testing.T) {
	t.Parallel()
	was, is := config(key("1"), key("2")), config(key("2"), key("1"))
	was.Digest = "sha256:was"
	more := config(key("2"), key("1"), key("0"))
	more.Digest = "sha256:more"
	migrations := map[string]ledger.Migration{"secrets": {Baseline: "7", Complete: true}, "configmaps": {Baseline: "7", Complete: true}}
	for name, tc := range map[string]struct {
		behind *encconfig.Description
		want   map[string]ledger.Migration
	}{
		"it wrote with the older key":                {was, map[string]ledger.Migration{}},
		"it wrote with the same, and has a key more": {more, migrations},
		"its file is lost":                           {nil, map[string]ledger.Migration{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := at(Resume, map[string]*encconfig.Description{"n1": is, "n2": tc.behind})
			step := plan.Step{Kind: plan.Push, Source: "n1", Targets: []string{"n2"}, Change: encconfig.Change{Kind: encconfig.KeepAll}}
			assert.Equal(t, tc.want, r.outlasting(migrations, step, is))
		})
	}
}
