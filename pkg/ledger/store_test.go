// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
)

func configMap(t *testing.T, client *fake.Clientset) *corev1.ConfigMap {
	t.Helper()
	cm, err := client.CoreV1().ConfigMaps("kube-system").Get(t.Context(), "kubectl-encryption", metav1.GetOptions{})
	require.NoError(t, err)
	return cm
}

func TestStoreKeepsWhatItWasGiven(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset()
	store := ledger.Store{Client: client.CoreV1()}
	l, found, err := store.Load(t.Context())
	require.NoError(t, err)
	assert.False(t, found)
	assert.Equal(t, &ledger.Ledger{Version: ledger.Version}, l)

	first := rotated(1, config("1"), config("2", "1"))
	require.NoError(t, store.Update(t.Context(), func(l *ledger.Ledger) { l.HighestKey = 2; l.Begin(first) }))
	require.NoError(t, store.Update(t.Context(), func(l *ledger.Ledger) { l.ByID("1").Stage = "done" }))
	first.Stage = "done"
	l, found, err = store.Load(t.Context())
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, &ledger.Ledger{Version: 1, HighestKey: 2, Rotations: []ledger.Rotation{first}}, l)
	assert.Equal(t, "kubectl-encryption", configMap(t, client).Labels["app.kubernetes.io/name"])
}

func TestStoreLoadsAgainWhereSomebodyElseWasFaster(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset()
	store := ledger.Store{Client: client.CoreV1()}
	require.NoError(t, store.Update(t.Context(), func(l *ledger.Ledger) { l.HighestKey = 1 }))
	conflicts := 2
	client.PrependReactor("update", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
		if conflicts--; conflicts >= 0 {
			return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "configmaps"}, "x", errors.New("changed"))
		}
		return false, nil, nil
	})
	calls := 0
	require.NoError(t, store.Update(t.Context(), func(l *ledger.Ledger) { calls++; l.HighestKey++ }))
	assert.Equal(t, 3, calls)
	l, _, err := store.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, uint64(2), l.HighestKey, "each attempt begins with what is stored")
}

func TestStoreTouchesNoRecordThatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ data, message, hint string }{
		"a later version": {`{"version":2,"rotations":[]}`, "has version 2, this program knows version 1", "newer version"},
		"no version":      {`{}`, "has version 0", "newer version"},
		"no JSON":         {`version: 1`, "is not understood", "kubectl -n kube-system delete configmap kubectl-encryption"},
		"nothing":         {``, "is not understood", "kubectl -n kube-system delete configmap kubectl-encryption"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := fake.NewClientset(&corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Name: "kubectl-encryption", Namespace: "kube-system"}, Data: map[string]string{"ledger.json": tt.data},
			})
			store := ledger.Store{Client: client.CoreV1()}
			_, found, err := store.Load(t.Context())
			require.ErrorContains(t, err, tt.message)
			assert.False(t, found)
			assert.Contains(t, hint.Render(err), tt.hint)
			require.ErrorContains(t, store.Update(t.Context(), func(*ledger.Ledger) {}), tt.message)
			assert.Equal(t, tt.data, configMap(t, client).Data["ledger.json"])
		})
	}
}

func TestStoreSaysWhatItCouldNotDo(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset()
	client.PrependReactor("*", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("no") })
	store := ledger.Store{Client: client.CoreV1()}
	_, _, err := store.Load(t.Context())
	require.EqualError(t, err, "read the ledger: no")
	assert.EqualError(t, store.Update(t.Context(), func(*ledger.Ledger) {}), "write the ledger: no")
}

// A ConfigMap holds 1 MiB. A cluster that encrypts 40 resources, and denies the migration of 20 objects of each, has
// records that fit seldom; the newest are what counts.
func TestARecordThatIsTooLongForgetsTheOldestRotations(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset()
	store := ledger.Store{Client: client.CoreV1()}
	var names []string
	for i := range 8 {
		names = append(names, fmt.Sprint(4_294_967_000+i))
	}
	full := rotated(1, config(names...), config(names...))
	full.From, full.Pruned = full.Config.Keys(), full.Config.Keys()
	one := full.Migrations["secrets"]
	for range 20 {
		one.Skipped = append(one.Skipped, strings.Repeat("n", 63)+"/"+strings.Repeat("o", 60)+": WebhookFailed")
	}
	for i := range 40 {
		full.Migrations[fmt.Sprintf("resource-%d.of.a.group.example.com", i)] = one
	}
	for i := range 25 {
		full.ID = fmt.Sprint(i)
		require.NoError(t, store.Update(t.Context(), func(l *ledger.Ledger) { l.Begin(full) }))
		assert.Less(t, len(configMap(t, client).Data["ledger.json"]), 1<<20)
	}
	l, _, err := store.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "24", l.Last().ID)
	assert.Greater(t, len(l.Rotations), 1)
}

func TestTwentyRotationsOfAnOrdinaryClusterFit(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset()
	store := ledger.Store{Client: client.CoreV1()}
	full := rotated(1, config("8", "7", "6", "5", "4", "3", "2", "1"), config("9", "8", "7", "6", "5", "4", "3", "2"))
	one := full.Migrations["secrets"]
	for i := range 20 {
		one.Skipped = append(one.Skipped, fmt.Sprintf("a-namespace-of-somebody/a-secret-of-somebody-%d: Denied", i))
	}
	full.Migrations["secrets"], full.Migrations["configmaps"] = one, one
	for i := range 25 {
		full.ID = fmt.Sprint(i)
		require.NoError(t, store.Update(t.Context(), func(l *ledger.Ledger) { l.Begin(full) }))
	}
	l, _, err := store.Load(t.Context())
	require.NoError(t, err)
	assert.Len(t, l.Rotations, 20)
}

// The record is written into etcd: nothing in it may be a key.
func TestTheRecordHasNoPlaceForKeys(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset()
	store := ledger.Store{Client: client.CoreV1()}
	require.NoError(t, store.Update(t.Context(), func(l *ledger.Ledger) { l.Begin(rotated(1, config("1"), config("2", "1"))) }))
	assert.NotContains(t, configMap(t, client).Data["ledger.json"], `"secret"`)
}
