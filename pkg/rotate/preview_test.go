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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/lock"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/reload"
)

// counting is a cluster with so many objects of each resource.
type counting struct {
	objects int64
	err     error
}

func (c counting) List(context.Context, migrate.Resource, string, metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	list := &metav1.PartialObjectMetadataList{Items: make([]metav1.PartialObjectMetadata, min(1, c.objects))}
	list.ResourceVersion, list.RemainingItemCount = "1", new(max(0, c.objects-1))
	return list, c.err
}

func (c counting) Patch(
	context.Context, migrate.Resource, string, string, types.PatchType, []byte, metav1.PatchOptions,
) (*metav1.PartialObjectMetadata, error) {
	return nil, errors.New("a preview writes nothing")
}

// previewed is a run before its consent: it has seen the instances, and no file.
func previewed(mode Mode, book *ledger.Ledger, nodes ...string) *Run {
	configs := map[string]*encconfig.Description{}
	for _, n := range nodes {
		configs[n] = config(key("1"))
	}
	r := at(mode, configs)
	r.goal, r.Files, r.Keep = plan.Goal{}, nil, plan.DefaultKeep
	r.migrator = &migrator.Migrator{Client: counting{objects: 10}}
	r.room = func(context.Context, *controlplane.ControlPlane, []kube.Resource) error { return nil }
	r.served = []kube.Resource{{GVR: resource("", "secrets").GVR, Migratable: true}, {GVR: resource("", "configmaps").GVR, Migratable: true}}
	r.View.Ledger = book
	r.View.Evidence = map[string]reload.Evidence{}
	for _, n := range nodes {
		r.View.Evidence[n] = reload.Evidence{Hash: "sha256:x", TellsHash: true}
	}
	return r
}

func onRecord() *ledger.Ledger {
	ended := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &ledger.Ledger{HighestKey: 4, Rotations: []ledger.Rotation{{
		ID: "r", Config: config(key("3"), key("1")), To: key("3"), CompletionTime: &ended,
	}}}
}

func stages(p *v1alpha1.RotationPlan) []string {
	var list []string
	for _, s := range p.Steps {
		list = append(list, s.Stage)
	}
	return list
}

func TestPlan(t *testing.T) {
	t.Parallel()
	rotation := []string{"add-read-key", "await", "promote", "await", "settle", "migrate", "verify", "close"}
	tests := map[string]struct {
		run    *Run
		goal   string
		stages []string
	}{
		"two nodes whose configuration is on record": {
			previewed(Begin, onRecord(), "n1", "n2"), "rotate to a new aesgcm key on 2 control-plane node(s): n1, n2", rotation,
		},
		"two nodes with nothing on record": {
			previewed(Begin, &ledger.Ledger{}, "n1", "n2"), "rotate to a new aesgcm key on 2 control-plane node(s): n1, n2", rotation,
		},
		"one node needs no read key first": {
			previewed(Begin, onRecord(), "n1"), "rotate to a new aesgcm key on 1 control-plane node(s): n1",
			[]string{"add-write-key", "await", "settle", "migrate", "verify", "close"},
		},
		"resume": {previewed(Resume, onRecord(), "n1"), "resume the rotation under way on 1 control-plane node(s): n1", []string{"inspect"}},
		"abort":  {previewed(Abort, onRecord(), "n1"), "abort the rotation under way on 1 control-plane node(s): n1", []string{"inspect"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := tt.run.Plan(t.Context(), v1alpha1.Cluster{Server: "https://192.0.2.1"})
			require.NoError(t, err)
			assert.Equal(t, tt.goal, p.Goal)
			assert.Equal(t, tt.stages, stages(p))
			assert.Empty(t, p.Warnings)
			assert.Equal(t, "https://192.0.2.1", p.Cluster.Server)
			assert.Equal(t, plan.Goal{}, tt.run.goal, "a preview decides nothing")
		})
	}
}

func TestPlanOfARotationWhereNothingIsEncryptedIsRefused(t *testing.T) {
	t.Parallel()
	book := onRecord()
	book.Rotations[0].Config = config(identity(), key("1"))
	_, err := previewed(Begin, book, "n1", "n2").Plan(t.Context(), v1alpha1.Cluster{})
	require.ErrorIs(t, err, plan.ErrRefused)
	assert.ErrorContains(t, err, "encrypts no resource")
}

func TestPlanNamesTheNewKeyOnlyWhereItIsKnown(t *testing.T) {
	t.Parallel()
	p, err := previewed(Begin, onRecord(), "n1", "n2").Plan(t.Context(), v1alpha1.Cluster{})
	require.NoError(t, err)
	assert.Equal(t, "add key aesgcm/5 as read key on n1, n2", p.Steps[0].Text, "the number after the highest that ever was")

	edited := previewed(Begin, onRecord(), "n1", "n2")
	edited.View.Evidence["n1"] = reload.Evidence{Hash: "sha256:edited", TellsHash: true}
	p, err = edited.Plan(t.Context(), v1alpha1.Cluster{})
	require.NoError(t, err)
	assert.Equal(t, "add key aesgcm/new as read key on n1, n2", p.Steps[0].Text)

	convert := previewed(Begin, onRecord(), "n1", "n2")
	convert.Provider = encconfig.Secretbox
	p, err = convert.Plan(t.Context(), v1alpha1.Cluster{})
	require.NoError(t, err)
	assert.Contains(t, p.Goal, "rotate to a new secretbox key")
}

func TestPlanWarnsOfMoreWritesThanAKeyShouldDo(t *testing.T) {
	t.Parallel()
	many := previewed(Begin, onRecord(), "n1")
	many.migrator = &migrator.Migrator{Client: counting{objects: 100_001}}
	p, err := many.Plan(t.Context(), v1alpha1.Cluster{})
	require.NoError(t, err)
	require.Len(t, p.Warnings, 1)
	assert.Contains(t, p.Warnings[0], "200002 objects will be written with one aesgcm key")
	assert.Contains(t, p.Warnings[0], "--provider secretbox")

	many.Provider = encconfig.Secretbox
	p, err = many.Plan(t.Context(), v1alpha1.Cluster{})
	require.NoError(t, err)
	assert.Empty(t, p.Warnings, "secretbox has no such limit")

	enough := previewed(Begin, onRecord(), "n1")
	enough.migrator = &migrator.Migrator{Client: counting{objects: 100_000}}
	p, err = enough.Plan(t.Context(), v1alpha1.Cluster{})
	require.NoError(t, err)
	assert.Empty(t, p.Warnings)
}

func TestPlanIsRefusedWhereEtcdHasNoRoom(t *testing.T) {
	t.Parallel()
	var asked []string
	r := previewed(Begin, onRecord(), "n1")
	r.room = func(_ context.Context, _ *controlplane.ControlPlane, resources []kube.Resource) error {
		asked = migrator.Names(resources)
		return errors.New("etcd has no room")
	}
	_, err := r.Plan(t.Context(), v1alpha1.Cluster{})
	require.EqualError(t, err, "etcd has no room")
	assert.Contains(t, hint.Render(err), "nothing was changed")
	assert.Equal(t, []string{"secrets", "configmaps"}, asked, "what is encrypted and not yet with the new key")
}

func TestPlanSaysThatARotationIsUnderWay(t *testing.T) {
	t.Parallel()
	book := onRecord()
	book.Rotations[0].CompletionTime = nil
	p, err := previewed(Begin, book, "n1", "n2").Plan(t.Context(), v1alpha1.Cluster{})
	require.NoError(t, err)
	require.Len(t, p.Warnings, 1)
	assert.Contains(t, p.Warnings[0], "the rotation to key aesgcm/3 has not ended")
}

func TestExplainTellsStageSafetyAndTheWayOn(t *testing.T) {
	t.Parallel()
	r := at(Begin, map[string]*encconfig.Description{"n1": config(key("1")), "n2": config(key("1"), key("2"))})
	require.NoError(t, r.explain(t.Context(), "await", nil))
	err := r.explain(t.Context(), "await", errors.New("no answer"))
	assert.Equal(t, "error: no answer\n  stage: await (safe to stop here: nothing is written with the new key yet)\n"+
		"  hint:  go on with: kubectl encryption rotate --resume\n  hint:  take back with: kubectl encryption rotate --abort\n", hint.Render(err))
	assert.Equal(t, hint.ExitError, hint.ExitCode(err))

	refused := r.explain(t.Context(), "plan", &plan.Refusal{Reason: "the files differ", Hint: "look at them"})
	assert.Contains(t, hint.Render(refused), "error: the files differ\n")
	assert.Contains(t, hint.Render(refused), "hint:  look at them\n")

	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	err = r.explain(interrupted, "migrate", context.Canceled)
	assert.Equal(t, "interrupted", err.Error())
	assert.Equal(t, hint.ExitInterrupted, hint.ExitCode(err))

	lost, lose := context.WithCancelCause(t.Context())
	lose(lock.ErrLost)
	err = r.explain(lost, "migrate", context.Canceled)
	require.ErrorIs(t, err, lock.ErrLost)
	assert.Equal(t, hint.ExitError, hint.ExitCode(err))
}
