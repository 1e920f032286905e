// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// onceAtPatch does something right before the first patch of an object is answered.
func onceAtPatch(key string, do func()) func(fakeRequest) *fakeFault {
	did := false
	return func(r fakeRequest) *fakeFault {
		if r.verb == "patch" && r.key == key && !did {
			did = true
			do()
		}
		return nil
	}
}

func (a *fakeAPI) patchTypes() []types.PatchType {
	var all []types.PatchType
	for _, r := range a.requests {
		if r.verb == "patch" {
			all = append(all, r.patchType)
		}
	}
	return all
}

// answers is the number of objects of a pass that were answered.
func answers(r Report) int64 {
	return r.Skipped + r.Migrated + r.Unchanged + r.Gone + r.Conflicts + r.Failed
}

// run runs a migration without a network and checks what holds for all.
func run(t *testing.T, a *fakeAPI, opts Options) Report {
	t.Helper()
	report, err := Run(t.Context(), a.client(t), secrets(), opts)
	require.NoError(t, err)
	a.requireHarmless(t)
	assert.Equal(t, secrets(), report.Resource)
	if report.Passes == 1 {
		assert.Equal(t, report.Listed, answers(report), "every listed object has one answer")
	}
	if report.Complete {
		assert.Empty(t, a.staleKeys())
	}
	return report
}

func TestRun(t *testing.T) {
	deleting := func(o *fakeObject, finalizers ...string) {
		now := metav1.Now()
		o.meta.DeletionTimestamp, o.meta.DeletionGracePeriodSeconds, o.meta.Finalizers = &now, new(int64), finalizers
	}
	for name, tc := range map[string]struct {
		prepare func(*fakeAPI)
		during  func(*fakeAPI) func(fakeRequest) *fakeFault
		patches []types.PatchType
		want    Report
	}{
		"no objects => complete": {
			want: Report{Complete: true},
		},
		"a stale object => stored again": {
			prepare: func(a *fakeAPI) { a.createStale("ns/a") },
			patches: []types.PatchType{apply},
			want:    Report{Listed: 1, Migrated: 1, Complete: true},
		},
		"a current object => unchanged": {
			prepare: func(a *fakeAPI) { a.create("ns/a", "data") },
			patches: []types.PatchType{apply},
			want:    Report{Listed: 1, Unchanged: 1, Complete: true},
		},
		"no managedFields => merge patch, and none after it": {
			prepare: func(a *fakeAPI) { a.createStale("ns/a").meta.ManagedFields = nil },
			patches: []types.PatchType{merge},
			want:    Report{Listed: 1, Migrated: 1, Complete: true},
		},
		"managedFields that can't be decoded => merge patch, and the loss is counted": {
			prepare: func(a *fakeAPI) { a.createStale("ns/a").undecodable = true },
			patches: []types.PatchType{apply, merge},
			want:    Report{Listed: 1, Migrated: 1, Altered: 1, Complete: true},
		},
		"a webhook changes the object => counted": {
			prepare: func(a *fakeAPI) { a.create("ns/a", "data").mutated = true },
			patches: []types.PatchType{apply},
			want:    Report{Listed: 1, Migrated: 1, Altered: 1, Complete: true},
		},
		"deleted after it was listed => gone, and not made again": {
			prepare: func(a *fakeAPI) { a.createStale("ns/a") },
			during: func(a *fakeAPI) func(fakeRequest) *fakeFault {
				return onceAtPatch("ns/a", func() { a.remove("ns/a") })
			},
			patches: []types.PatchType{apply},
			want:    Report{Listed: 1, Gone: 1, Complete: true},
		},
		"deleted after it was listed, no managedFields => gone": {
			prepare: func(a *fakeAPI) { a.createStale("ns/a").meta.ManagedFields = nil },
			during: func(a *fakeAPI) func(fakeRequest) *fakeFault {
				return onceAtPatch("ns/a", func() { a.remove("ns/a") })
			},
			patches: []types.PatchType{merge},
			want:    Report{Listed: 1, Gone: 1, Complete: true},
		},
		"deleted and made again => conflict, which is done": {
			prepare: func(a *fakeAPI) { a.createStale("ns/a") },
			during: func(a *fakeAPI) func(fakeRequest) *fakeFault {
				return onceAtPatch("ns/a", func() { a.remove("ns/a"); a.create("ns/a", "new") })
			},
			patches: []types.PatchType{apply},
			want:    Report{Listed: 1, Conflicts: 1, Complete: true},
		},
		"changed after it was listed => conflict, which is done": {
			prepare: func(a *fakeAPI) { a.createStale("ns/a") },
			during: func(a *fakeAPI) func(fakeRequest) *fakeFault {
				return onceAtPatch("ns/a", func() { a.store(a.objects["ns/a"]) })
			},
			patches: []types.PatchType{apply},
			want:    Report{Listed: 1, Conflicts: 1, Complete: true},
		},
		"being deleted, held by a finalizer => migrated": {
			prepare: func(a *fakeAPI) { deleting(a.createStale("ns/a"), "example.com/hold") },
			patches: []types.PatchType{apply},
			want:    Report{Listed: 1, Migrated: 1, Complete: true},
		},
		"being deleted, held by nothing => left alone and reported": {
			prepare: func(a *fakeAPI) { deleting(a.createStale("ns/a")) },
			want: Report{
				Listed: 1, Failed: 1, Causes: map[Cause]int64{{Reason: ReasonBeingDeleted}: 1},
				Failures: []Failure{{
					Namespace: "ns", Name: "a", Reason: ReasonBeingDeleted,
					Message: "its deletion waits for nothing, and any write would complete it",
				}},
			},
		},
		"still within its grace period => migrated": {
			prepare: func(a *fakeAPI) {
				o := a.createStale("ns/a")
				deleting(o)
				*o.meta.DeletionGracePeriodSeconds = 30
			},
			patches: []types.PatchType{apply},
			want:    Report{Listed: 1, Migrated: 1, Complete: true},
		},
		"the answer to a write is lost => the repetition conflicts, which is done": {
			prepare: func(a *fakeAPI) { a.createStale("ns/a") },
			during: func(*fakeAPI) func(fakeRequest) *fakeFault {
				return func(r fakeRequest) *fakeFault {
					if r.number == 2 {
						return &fakeFault{lost: true}
					}
					return nil
				}
			},
			patches: []types.PatchType{apply, apply},
			want:    Report{Listed: 1, Conflicts: 1, Complete: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newFakeAPI()
				if tc.prepare != nil {
					tc.prepare(a)
				}
				if tc.during != nil {
					a.before = tc.during(a)
				}
				tc.want.Resource, tc.want.Passes, tc.want.Baseline = secrets(), 1, fmt.Sprint(a.rv)
				assert.Equal(t, tc.want, run(t, a, Options{}))
				assert.Equal(t, tc.patches, a.patchTypes())
			})
		})
	}
}

func TestRun_baseline(t *testing.T) {
	t.Run("objects later than the baseline => not asked about", func(t *testing.T) {
		a := newFakeAPI()
		a.createStale("ns/old")
		client := a.client(t)
		baseline, err := Baseline(t.Context(), client, secrets())
		require.NoError(t, err)
		a.create("ns/new", "data")

		objects, stale, err := CountStale(t.Context(), client, secrets(), baseline)
		require.NoError(t, err)
		assert.Equal(t, []int64{2, 1}, []int64{objects, stale})

		report := run(t, a, Options{Baseline: baseline})
		assert.Equal(t, []int64{2, 1, 1}, []int64{report.Listed, report.Skipped, report.Migrated})
		assert.Equal(t, baseline, report.Baseline)

		again := run(t, a, Options{Baseline: baseline})
		assert.Equal(t, []int64{2, 2}, []int64{again.Listed, again.Skipped})
		assert.True(t, again.Complete)
	})
	t.Run("the number of digits grows => compared as numbers", func(t *testing.T) {
		a := newFakeAPI()
		a.rv = 998
		a.createStale("ns/old")
		a.create("ns/new", "data")
		report := run(t, a, Options{Baseline: "999"})
		assert.Equal(t, []int64{1, 1}, []int64{report.Skipped, report.Migrated})
	})
	t.Run("the cluster is earlier than the baseline => refused", func(t *testing.T) {
		a := newFakeAPI()
		a.createStale("ns/a")
		_, err := Run(t.Context(), a.client(t), secrets(), Options{Baseline: "5000"})
		require.ErrorIs(t, err, ErrWentBack)
		assert.Empty(t, a.patchTypes())
		_, _, err = CountStale(t.Context(), a.client(t), secrets(), "5000")
		require.ErrorIs(t, err, ErrWentBack)
	})
	t.Run("a baseline that is no resourceVersion => refused", func(t *testing.T) {
		a := newFakeAPI()
		for _, baseline := range []string{"0", "x"} {
			_, err := Run(t.Context(), a.client(t), secrets(), Options{Baseline: baseline})
			require.Error(t, err)
		}
		_, _, err := CountStale(t.Context(), a.client(t), secrets(), "")
		require.Error(t, err)
	})
}

func TestRun_answersThatWereWrong(t *testing.T) {
	missing := statusAbout(404, metav1.StatusReasonNotFound, "ns/a", "not found")
	t.Run("an object that is said to be gone and is not => asked again in another pass", func(t *testing.T) {
		a := newFakeAPI()
		a.createStale("ns/a")
		a.before = onPatch("ns/a", 1, fakeFault{status: missing})
		report := run(t, a, Options{})
		assert.Equal(t, 2, report.Passes)
		assert.Equal(t, []int64{1, 1}, []int64{report.Gone, report.Migrated})
		assert.True(t, report.Complete)
	})
	t.Run("whatever is said, it is still there => not complete, after a limited number of passes", func(t *testing.T) {
		a := newFakeAPI()
		a.createStale("ns/a")
		a.before = onPatch("ns/a", 0, fakeFault{status: missing})
		report := run(t, a, Options{})
		assert.False(t, report.Complete)
		assert.Equal(t, "1 objects are not later than the baseline, of which 0 are accounted for, after 4 passes", report.Note)
	})
}
