// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package svm

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	svmv1 "k8s.io/api/storagemigration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// trial is a run against a modelled cluster, and what was told of it.
type trial struct {
	store      *store
	client     *fake.Clientset
	controller *controller
	notices    []string
	progress   []migrate.Progress
	took       time.Duration
}

func newTrial(s *store) *trial {
	client := served("v1")
	return &trial{store: s, client: client, controller: &controller{client: client, store: s}}
}

// run runs with the controller at work, until the context is done or the run ends.
func (tr *trial) run(ctx context.Context, t *testing.T) (migrate.Report, error) {
	t.Helper()
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if tr.controller != nil {
		stopped := tr.controller.start(working, t)
		defer func() {
			stop()
			<-stopped
		}()
	}
	start := time.Now()
	report, err := Run(ctx, tr.client, tr.store, secrets, Options{
		Run: "this", Baseline: "500",
		Progress: func(p migrate.Progress) { tr.progress = append(tr.progress, p) },
		Notice:   func(text string) { tr.notices = append(tr.notices, text) },
	})
	tr.took = time.Since(start)
	return report, err
}

// atBaseline is a store of stale objects, at the resourceVersion that the runs take as their baseline.
func atBaseline(count int) *store {
	s := staleObjects(count)
	s.version = 500
	return s
}

func requireNothingLeft(t *testing.T, tr *trial) {
	t.Helper()
	for _, m := range migrations(t.Context(), t, tr.client) {
		assert.NotEqual(t, "this", m.Labels["kubectl-encryption/run"], "a StorageVersionMigration of ours is left: %s", m.Name)
	}
}

func TestRun_done(t *testing.T) {
	t.Run("the controller migrates everything => proven, told, removed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(atBaseline(40))
			tr.store.delay = 250 * time.Millisecond
			tr.controller.cacheDelay = 80 * time.Second
			var made *svmv1.StorageVersionMigration
			tr.client.PrependReactor("create", "storageversionmigrations", func(action clienttesting.Action) (bool, runtime.Object, error) {
				made = action.(clienttesting.CreateAction).GetObject().(*svmv1.StorageVersionMigration).DeepCopy()
				return false, nil, nil
			})
			report, err := tr.run(t.Context(), t)
			require.NoError(t, err)
			assert.Equal(t, migrate.Report{Resource: secrets, Baseline: "500", Passes: 1, Listed: 40, Migrated: 40, Complete: true}, report)
			assert.Empty(t, tr.store.staleNames())
			assert.Zero(t, tr.store.writes, "the own engine had nothing to do")
			assert.Equal(t, metav1.GroupResource{Resource: "secrets"}, made.Spec.Resource)
			assert.Equal(t, map[string]string{
				"app.kubernetes.io/name": "kubectl-encryption", "app.kubernetes.io/component": "migration", "kubectl-encryption/run": "this",
			}, made.Labels)
			assert.Regexp(t, "^encryption-[a-z0-9]{10}$", made.Name)
			requireNothingLeft(t, tr)
			require.NotEmpty(t, tr.notices)
			assert.Contains(t, tr.notices[0], "begins when its cache has caught up")
			assert.LessOrEqual(t, len(tr.notices), 4, "at most every 30 seconds: %v", tr.notices)
			requireOnwards(t, tr.progress, 40)
		})
	})
	t.Run("nothing is stale => the controller is not asked", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(atBaseline(3))
			for _, o := range tr.store.objects {
				o.version, o.stale = 600, false
			}
			tr.store.version = 600
			report, err := tr.run(t.Context(), t)
			require.NoError(t, err)
			assert.Equal(t, migrate.Report{Resource: secrets, Baseline: "500", Listed: 3, Skipped: 3, Complete: true}, report)
			assert.Zero(t, tr.store.controllers)
		})
	})
	t.Run("objects that were current already => the own engine finds them unchanged", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(atBaseline(5))
			tr.store.objects["o-001"].stale = false
			report, err := tr.run(t.Context(), t)
			require.NoError(t, err)
			assert.Equal(t, migrate.Report{
				Resource: secrets, Baseline: "500", Passes: 2, Listed: 5, Migrated: 4, Unchanged: 1, Complete: true,
			}, report)
			assert.Equal(t, 1, tr.store.writes)
			assert.Equal(t, 2, tr.progress[len(tr.progress)-1].Pass)
			assert.Equal(t, int64(4), tr.progress[len(tr.progress)-1].Migrated)
		})
	})
	t.Run("a denial that the controller takes for done => found by the proof", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(atBaseline(5))
			tr.store.refuse("o-003", denied(409, ""))
			report, err := tr.run(t.Context(), t)
			require.NoError(t, err)
			assert.False(t, report.Complete)
			assert.Equal(t, int64(4), report.Migrated)
			assert.Equal(t, map[migrate.Reason]int64{migrate.ReasonDenied: 1}, report.Reasons())
			assert.Equal(t, "o-003", report.Failures[0].Name)
			assert.Equal(t, "guard.example.com", report.Failures[0].Webhook)
			requireNothingLeft(t, tr)
		})
	})
	t.Run("the API is away for a while => no matter", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(atBaseline(5))
			tr.controller.cacheDelay = 10 * time.Second
			failures := 0
			for _, verb := range []string{"create", "get", "delete"} {
				tr.client.PrependReactor(verb, "storageversionmigrations", func(clienttesting.Action) (bool, runtime.Object, error) {
					failures++
					return failures%2 == 0, nil, apierrors.NewServiceUnavailable("restarting")
				})
			}
			report, err := tr.run(t.Context(), t)
			require.NoError(t, err)
			assert.True(t, report.Complete)
			assert.Positive(t, failures)
		})
	})
	t.Run("the answer to the creation is lost => the object is one and the same", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(atBaseline(5))
			lost := false
			tr.client.PrependReactor("create", "storageversionmigrations", func(action clienttesting.Action) (bool, runtime.Object, error) {
				if lost {
					return false, nil, nil
				}
				lost = true
				return true, nil, join(tr.client.Tracker().Add(action.(clienttesting.CreateAction).GetObject()), apierrors.NewServiceUnavailable("lost"))
			})
			report, err := tr.run(t.Context(), t)
			require.NoError(t, err)
			assert.True(t, report.Complete)
			requireNothingLeft(t, tr)
		})
	})
	t.Run("the controller has not let go of it => it is not removed before", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			tr := newTrial(atBaseline(5))
			tr.client.PrependReactor("delete", "storageversionmigrations", func(action clienttesting.Action) (bool, runtime.Object, error) {
				found, err := tr.client.Tracker().Get(action.GetResource(), "", action.(clienttesting.DeleteAction).GetName())
				if assert.NoError(t, err) {
					m := found.(*svmv1.StorageVersionMigration)
					assert.True(t, released(m))
					assert.True(t, stageOf(m).ended())
				}
				return false, nil, nil
			})
			report, err := tr.run(t.Context(), t)
			require.NoError(t, err)
			assert.True(t, report.Complete)
		})
	})
}

// join is the first error, or the second if there is none.
func join(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// requireOnwards looks at what was told of the controller's progress.
func requireOnwards(t *testing.T, told []migrate.Progress, objects int64) {
	t.Helper()
	require.NotEmpty(t, told)
	var last migrate.Progress
	for _, p := range told {
		assert.Equal(t, objects, p.Total)
		assert.GreaterOrEqual(t, p.Done, last.Done)
		assert.Equal(t, p.Done, p.Migrated)
		assert.Equal(t, 1, p.Pass)
		last = p
	}
	assert.Equal(t, objects, last.Done)
	assert.InDelta(t, 4, last.Rate, 2, "the modelled controller takes a quarter of a second for an object; the wait for its cache does not count")
}

func TestRun_failed(t *testing.T) {
	tests := map[string]struct {
		refusal error
		passing bool
		want    string
		reason  migrate.Reason
		dryRuns int
	}{
		"a webhook denies, whose message names no object => found by dry run": {
			refusal: denied(403, ""), reason: migrate.ReasonDenied,
			want: `ns/o-007: Denied: admission webhook "guard.example.com" denied the request: not on my watch`,
		},
		"validation refuses => the object alone is asked about, and no value is repeated": {
			refusal: invalid("o-007"), reason: migrate.ReasonInvalid, dryRuns: 1,
			want: "ns/o-007: Invalid: the stored object does not pass validation: data[x]: FieldValueInvalid",
		},
		"a webhook denied and does not any more => its message, and where the name is": {
			refusal: denied(403, ""), passing: true,
			want: `admission webhook "guard.example.com" denied the request: not on my watch (the log of kube-controller-manager names the object)`,
		},
		"validation refused and does not any more => no value is repeated": {
			refusal: invalid("o-007"), passing: true,
			want: "an answer that may quote the object and is not repeated here (the log of kube-controller-manager names the object)",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := newTrial(atBaseline(20))
				tr.store.refuse("o-007", tt.refusal).passing = tt.passing
				report, err := tr.run(t.Context(), t)
				require.ErrorIs(t, err, ErrFailed)
				require.ErrorContains(t, err, tt.want)
				assert.NotContains(t, err.Error(), "migrate secrets", "the caller says that")
				require.ErrorContains(t, err, "13 of 20 objects are not proven to be migrated")
				var hinted *hint.Error
				require.ErrorAs(t, err, &hinted)
				assert.Contains(t, strings.Join(hinted.Hints, " "), "--engine=native")
				assert.NotContains(t, err.Error()+strings.Join(tr.notices, " "), "hunter2")
				assert.False(t, report.Complete)
				assert.Equal(t, int64(7), report.Migrated, "the objects before it")
				assert.Zero(t, tr.store.writes, "the own engine stores nothing")
				assert.Len(t, tr.store.staleNames(), 13)
				if tt.dryRuns > 0 {
					assert.Equal(t, tt.dryRuns, tr.store.dryRuns)
				}
				requireBlame(t, report, tt.reason)
				requireNothingLeft(t, tr)
			})
		})
	}
}

func TestRun_failedOnAnObjectThatIsCurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrial(atBaseline(5))
		tr.store.objects["zz"] = &stored{version: 501} // written after the baseline, before the controller looks
		tr.store.version = 501
		tr.store.refuse("zz", denied(403, ""))
		report, err := tr.run(t.Context(), t)
		require.NoError(t, err)
		assert.Equal(t, migrate.Report{
			Resource: secrets, Baseline: "500", Passes: 1, Listed: 6, Skipped: 1, Migrated: 5, Complete: true,
		}, report)
		assert.Zero(t, tr.store.dryRuns, "nobody is looked for")
		requireNothingLeft(t, tr)
	})
}

func requireBlame(t *testing.T, report migrate.Report, reason migrate.Reason) {
	t.Helper()
	if reason == "" {
		assert.Zero(t, report.Failed)
		return
	}
	require.Len(t, report.Failures, 1)
	assert.Equal(t, "o-007", report.Failures[0].Name)
	assert.Equal(t, map[migrate.Reason]int64{reason: 1}, report.Reasons())
	assert.NotContains(t, report.Failures[0].Message, "hunter2")
}

func TestRun_failedForNoObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTrial(atBaseline(2))
		model := tr.controller
		tr.controller = nil
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() {
			_ = sleep(ctx, 3*time.Second)
			for _, m := range migrations(ctx, t, tr.client) {
				model.set(ctx, m.Name, svmv1.MigrationFailed, metav1.ConditionTrue, "resource does not exist in discovery")
			}
		}()
		_, err := tr.run(ctx, t)
		require.ErrorIs(t, err, ErrFailed)
		require.ErrorContains(t, err, "2 of 2 objects are not proven to be migrated: resource does not exist in discovery")
		assert.Zero(t, tr.store.dryRuns)
		requireNothingLeft(t, tr)
	})
}
