// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package svm

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	svmv1 "k8s.io/api/storagemigration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// another is a StorageVersionMigration of secrets that somebody else made two minutes ago.
func another(name string) *svmv1.StorageVersionMigration {
	return &svmv1.StorageVersionMigration{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(time.Now().Add(-2 * time.Minute))},
		Spec:       svmv1.StorageVersionMigrationSpec{Resource: metav1.GroupResource{Resource: "secrets"}},
	}
}

func ended(m *svmv1.StorageVersionMigration, condition svmv1.MigrationConditionType) *svmv1.StorageVersionMigration {
	m.Status.Conditions = []metav1.Condition{{Type: string(condition), Status: metav1.ConditionTrue}}
	return m
}

func TestRun_foreign(t *testing.T) {
	t.Run("another's migration has not ended => waited for, then ours", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(atBaseline(10))
			tr.store.objects["o-004"].stale = false // which the other one can't show either
			require.NoError(t, tr.client.Tracker().Add(another("theirs")))
			tr.controller.cacheDelay = 65 * time.Second
			report, err := tr.run(t.Context(), t)
			require.NoError(t, err)
			assert.True(t, report.Complete)
			assert.Equal(t, int64(9), report.Skipped, "what they migrated is not ours")
			assert.Equal(t, int64(1), report.Unchanged)
			require.NotEmpty(t, tr.notices)
			assert.Contains(t, tr.notices[0], "theirs of secrets, which is somebody else's")
			assert.Contains(t, tr.notices[0], "(made 2m0s ago)")
			assert.Contains(t, tr.notices[0], "kubectl get storageversionmigrations theirs -o yaml")
			left := migrations(t.Context(), t, tr.client)
			require.Len(t, left, 1, "theirs is left alone")
			assert.Equal(t, "theirs", left[0].Name)
		})
	})
	t.Run("another's migration was made just before ours => not taken for a controller that does not run", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(atBaseline(10))
			tr.controller.cacheDelay = 8 * time.Minute
			made := false
			tr.client.PrependReactor("create", "storageversionmigrations", func(clienttesting.Action) (bool, runtime.Object, error) {
				if !made {
					made = true
					return false, nil, tr.client.Tracker().Add(another("theirs"))
				}
				return false, nil, nil
			})
			report, err := tr.run(t.Context(), t)
			require.NoError(t, err)
			assert.True(t, report.Complete)
			assert.Contains(t, strings.Join(tr.notices, "\n"), "theirs of secrets, which is somebody else's and is running")
		})
	})
	t.Run("another's is gone while we wait => ours", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(atBaseline(10))
			tr.controller.accept = func(m *svmv1.StorageVersionMigration) bool { return m.Name != "theirs" }
			require.NoError(t, tr.client.Tracker().Add(another("theirs")))
			time.AfterFunc(time.Hour, func() {
				assert.NoError(t, remove(t.Context(), tr.client, "theirs"))
			})
			report, err := tr.run(t.Context(), t)
			require.NoError(t, err)
			assert.Equal(t, int64(10), report.Migrated)
			assert.Greater(t, tr.took, time.Hour)
			assert.InDelta(t, 120, len(tr.notices), 5, "one every 30 seconds")
			assert.NotContains(t, tr.notices[5], "does not seem to run")
			assert.Contains(t, tr.notices[100], "the StorageVersionMigration controller does not seem to run: it has begun with none for 50m")
		})
	})
	t.Run("another's was made after ours and none runs => no excuse for a controller that does not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(atBaseline(10))
			tr.controller = nil
			time.AfterFunc(20*time.Second, func() {
				theirs := another("theirs")
				theirs.CreationTimestamp = metav1.Now()
				assert.NoError(t, tr.client.Tracker().Add(theirs))
			})
			_, err := tr.run(t.Context(), t)
			require.ErrorIs(t, err, ErrNotRunning)
			assert.InDelta(t, 5*time.Minute, tr.took, float64(40*time.Second))
		})
	})
	t.Run("another's was made just before ours and none runs => waited for, and told", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(atBaseline(10))
			tr.controller = nil
			tr.client.PrependReactor("create", "storageversionmigrations", func(clienttesting.Action) (bool, runtime.Object, error) {
				return false, nil, tr.client.Tracker().Add(another("theirs"))
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			_, err := tr.run(ctx, t)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Contains(t, strings.Join(tr.notices, "\n"), "does not seem to run: it has begun with none for 5")
		})
	})
}

func TestRun_noEnd(t *testing.T) {
	t.Run("the controller does not run => said after 5 minutes, and nothing is left", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(atBaseline(10))
			tr.controller = nil
			report, err := tr.run(t.Context(), t)
			require.ErrorIs(t, err, ErrNotRunning)
			var hinted *hint.Error
			require.ErrorAs(t, err, &hinted)
			assert.Contains(t, hinted.Hints[0], "storage-version-migrator-controller")
			assert.Contains(t, hinted.Hints[1], "--engine=native")
			assert.InDelta(t, 5*time.Minute, tr.took, float64(40*time.Second))
			assert.Contains(t, tr.notices[0], "waiting for the controller: it has not taken up StorageVersionMigration encryption-")
			assert.False(t, report.Complete)
			assert.Equal(t, int64(10), report.Listed)
			requireNothingLeft(t, tr)
		})
	})
	t.Run("a webhook never answers => what the controller tries again after is told, and it ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(atBaseline(10))
			tr.store.refuse("o-002", unanswered())
			report, err := tr.run(t.Context(), t)
			require.ErrorIs(t, err, ErrStalled)
			require.ErrorContains(t, err, "it tries again after: ns/o-002: WebhookFailed: Internal error occurred: failed calling webhook")
			assert.Equal(t, map[migrate.Reason]int64{migrate.ReasonWebhookFailed: 1}, report.Reasons())
			assert.Contains(t, tr.notices[0], `it tries again after: Internal error occurred: failed calling webhook "guard.example.com"`)
			assert.Contains(t, tr.notices[len(tr.notices)-1], "it tries again after: ns/o-002: WebhookFailed")
			assert.Zero(t, tr.store.writes, "the own engine stores nothing")
			assert.Equal(t, int64(2), report.Migrated)
			requireNothingLeft(t, tr)
		})
	})
	t.Run("a webhook answers again after a while => done", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(atBaseline(10))
			tr.store.refuse("o-002", unanswered())
			time.AfterFunc(10*time.Minute, func() {
				tr.store.mu.Lock()
				defer tr.store.mu.Unlock()
				tr.store.objects["o-002"].refusal = nil
			})
			report, err := tr.run(t.Context(), t)
			require.NoError(t, err)
			assert.True(t, report.Complete)
		})
	})
	t.Run("somebody removes ours => an error, and another run goes on from there", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(atBaseline(10))
			tr.controller.cacheDelay = time.Minute
			time.AfterFunc(20*time.Second, func() {
				for _, m := range migrations(t.Context(), t, tr.client) {
					assert.NoError(t, remove(t.Context(), tr.client, m.Name))
				}
			})
			report, err := tr.run(t.Context(), t)
			require.ErrorIs(t, err, ErrRemoved)
			assert.False(t, report.Complete)
			tr.controller.cacheDelay = 0
			report, err = tr.run(t.Context(), t)
			require.NoError(t, err)
			assert.True(t, report.Complete)
		})
	})
	t.Run("interrupted => the context's error, nothing is left, and what goes on is said", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(atBaseline(100))
			tr.store.delay = time.Second
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			report, err := tr.run(ctx, t)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.False(t, report.Complete)
			assert.Positive(t, report.Migrated)
			assert.Contains(t, tr.notices[len(tr.notices)-1], "it may go on with the objects of secrets that it has read")
			requireNothingLeft(t, tr)
		})
	})
	t.Run("it can't be removed => told with what to type, and the result stands", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(atBaseline(10))
			tr.client.PrependReactor("delete", "storageversionmigrations", func(clienttesting.Action) (bool, runtime.Object, error) {
				return true, nil, errors.New("not today")
			})
			report, err := tr.run(t.Context(), t)
			require.NoError(t, err)
			assert.True(t, report.Complete)
			assert.Contains(t, tr.notices[len(tr.notices)-1], "not today; remove it with: kubectl delete storageversionmigrations encryption-")
		})
	})
}
