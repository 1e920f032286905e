// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
)

// migratedAt is when the run's migrations ended.
var migratedAt = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// after is a run to key 2 that has migrated everything, and whose count finds what is given.
func after(t *testing.T, mode Mode, found []ledger.StoredResource, err error) (*Run, *[]event.Event) {
	t.Helper()
	told := &[]event.Event{}
	target, c := key("2"), config(key("2"), key("1"))
	if mode == Disable {
		target, c = identity(), &encconfig.Description{Digest: "sha256:x", Rules: []encconfig.Rule{{
			Resources: []string{"secrets", "configmaps"}, Keys: []encconfig.Key{identity(), key("1")},
		}}}
	}
	r := at(mode, map[string]*encconfig.Description{"n1": c})
	r.goal.Target = target
	if mode == Disable {
		r.goal.Resources = []string{"secrets", "configmaps"}
	}
	r.Emit = func(e event.Event) { *told = append(*told, e) }
	r.served = []kube.Resource{{GVR: resource("", "secrets").GVR, Migratable: true}, {GVR: resource("", "configmaps").GVR, Migratable: true}}
	r.Cluster = &kube.Cluster{Typed: fake.NewClientset()}
	done := ledger.Migration{Baseline: "1", Complete: true, CompletionTime: &migratedAt}
	r.record = ledger.Rotation{ID: "run", To: target, Config: c, Migrations: map[string]ledger.Migration{"secrets": done, "configmaps": done}}
	require.NoError(t, r.Ledger().Update(t.Context(), func(l *ledger.Ledger) { l.Begin(r.record) }))
	r.Count = func(context.Context, event.Sink) (*ledger.Verification, error) {
		return &ledger.Verification{
			Time: migratedAt.Add(time.Second), Digest: "sha256:x", Whole: []string{"secrets", "configmaps"}, Resources: found, Keys: []encconfig.Key{key("1"), key("2")},
		}, err
	}
	return r, told
}

func warnings(events []event.Event) (texts []string) {
	for _, e := range events {
		if w, ok := e.(event.Warning); ok {
			texts = append(texts, w.Text)
		}
	}
	return texts
}

// two are counts of both resources, of which the second one has this beside nine that are as they should be.
func two(writeKey encconfig.Key, off ledger.StoredResource) []ledger.StoredResource {
	off.Name, off.WriteKey, off.Objects = "secrets", writeKey, 9+off.Off()
	return []ledger.StoredResource{off, {Name: "configmaps", WriteKey: writeKey, Objects: 1000}}
}

func TestVerifySaysWhatWasCounted(t *testing.T) {
	t.Parallel()
	events := append(two(key("2"), ledger.StoredResource{}), ledger.StoredResource{Name: "events", WriteKey: key("2"), Objects: 5, Stale: 5})
	tests := map[string]struct {
		mode  Mode
		found []ledger.StoredResource
		text  string
		again bool
	}{
		"all under the key":                      {Begin, two(key("2"), ledger.StoredResource{}), ": all 1,009 values of configmaps, secrets are stored with it", false},
		"events under an old key, which expire":  {Begin, events, ": all 1,009 values of configmaps, secrets are stored with it", false},
		"all in plaintext":                       {Disable, two(identity(), ledger.StoredResource{}), ": all 1,009 values of configmaps, secrets are stored in plaintext", false},
		"one under the old key":                  {Begin, two(key("2"), ledger.StoredResource{Stale: 1}), ": 1 of 10 values of secrets are not stored with it", true},
		"one in plaintext":                       {Begin, two(key("2"), ledger.StoredResource{Plaintext: 1}), ": 1 of 10 values of secrets are not stored with it", true},
		"one that can't be read":                 {Begin, two(key("2"), ledger.StoredResource{Unreadable: 1}), ": 1 of 10 values of secrets are not stored with it", false},
		"one of a resource that is not migrated": {Begin, []ledger.StoredResource{{Name: "gone.example.com", WriteKey: key("2"), Objects: 3, Stale: 1}}, ": there is no value of what this is about", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, told := after(t, tt.mode, tt.found, nil)
			text, err := r.verify(t.Context())
			require.NoError(t, err)
			assert.Equal(t, tt.text, text)
			assert.Equal(t, tt.again, r.record.Refuted)
			assert.Equal(t, !tt.again, r.record.Migrated([]string{"secrets"}))
			assert.Len(t, warnings(*told), map[bool]int{true: 1}[tt.again])

			book, _, err := r.Ledger().Load(t.Context())
			require.NoError(t, err)
			require.NotNil(t, book.Verification, "it is the last verification on record")
			assert.Equal(t, []encconfig.Key{key("1"), key("2")}, r.counted.planned().Stored)

			again, err := r.noteCount(t.Context(), *r.counted.found)
			require.NoError(t, err)
			assert.False(t, again, "a migration is made again once, and no more")
		})
	}
}

func TestVerifyWithoutACountLeavesTheBaselines(t *testing.T) {
	t.Parallel()
	r, told := after(t, Begin, nil, errors.New("etcd\n does not answer"))
	text, err := r.verify(t.Context())
	require.NoError(t, err)
	assert.Equal(t, ": not counted", text)
	assert.Equal(t, []string{"what etcd holds could not be counted, so the proof is that by baselines alone: etcd does not answer"}, warnings(*told))
	assert.Equal(t, &plan.Counted{}, r.counted.planned(), "the plan goes on as it did without")
	assert.NoError(t, r.ended())
	assert.Contains(t, r.Result(), "(etcd was not counted: etcd does not answer)")

	other, _ := after(t, Begin, nil, nil)
	other.Files["n1"].Config.Digest = "sha256:other"
	text, err = other.verify(t.Context())
	require.NoError(t, err)
	assert.Equal(t, ": not counted", text, "what was judged by another configuration says nothing")

	stopped, _ := after(t, Begin, nil, errors.New("interrupted"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = stopped.verify(ctx)
	require.ErrorIs(t, err, context.Canceled)
	assert.Nil(t, stopped.counted.planned(), "it is counted again by whoever goes on")
}

func TestTheEndTellsWhatACountHasFound(t *testing.T) {
	t.Parallel()
	gone := ledger.StoredResource{Name: "gone.example.com", WriteKey: key("2"), Objects: 3, Stale: 2, Unreadable: 1}
	r, _ := after(t, Begin, append(two(key("2"), ledger.StoredResource{}), gone), nil)
	r.Files["n1"].Config.Rules[0].Resources = append(r.Files["n1"].Config.Rules[0].Resources, gone.Name)
	_, err := r.verify(t.Context())
	require.NoError(t, err)
	err = r.ended()
	require.EqualError(t, err, "etcd holds values that are not stored with key aesgcm/2, though every object was migrated: "+
		"3 of gone.example.com (2 under a key that is kept for reading, 1 that can't be read)")
	assert.Equal(t, hint.ExitDrifted, hint.ExitCode(err))
	assert.Contains(t, hint.Render(err), "no migration reaches gone.example.com, which the API server does not serve")
	assert.Contains(t, hint.Render(err), "kubectl encryption verify --all")

	off, _ := after(t, Disable, two(identity(), ledger.StoredResource{Stale: 2}), nil)
	off.goal.Flags, off.RemoveFlags = plan.RemoveFlags, true
	_, err = off.verify(t.Context())
	require.NoError(t, err)
	assert.True(t, off.counted.planned().Encrypted)
	err = off.ended()
	require.ErrorContains(t, err, "keep their flags, without which they could not read 2 of secrets")
	assert.Equal(t, hint.ExitDrifted, hint.ExitCode(err))
}

// A verification beside a rotation voids what it contradicts; the rotation then asks for it by a new baseline.
func TestWhatAVerificationVoidsMeanwhileIsForgotten(t *testing.T) {
	t.Parallel()
	r, _ := after(t, Begin, nil, nil)
	require.NoError(t, r.Ledger().Update(t.Context(), func(l *ledger.Ledger) { delete(l.ByID("run").Migrations, "secrets") }))
	require.NoError(t, r.reread(t.Context()))
	assert.NotContains(t, r.record.Migrations, "secrets")
	assert.Contains(t, r.record.Migrations, "configmaps")
}
