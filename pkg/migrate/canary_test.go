// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// inNamespaces is a cluster with so many stale objects in each namespace.
func inNamespaces(objects int, namespaces ...string) *fakeAPI {
	a := newFakeAPI()
	for _, ns := range namespaces {
		for i := range objects {
			a.createStale(fmt.Sprintf("%s/%03d", ns, i))
		}
	}
	return a
}

// patched are the keys of the objects that were written to, in order.
func (a *fakeAPI) patched() []string {
	var keys []string
	for _, r := range a.requests {
		if r.verb == "patch" {
			keys = append(keys, r.key)
		}
	}
	return keys
}

func TestRun_canaries(t *testing.T) {
	t.Run("namespaces => one object of each before all others, each object once", func(t *testing.T) {
		a := inNamespaces(20, "a", "b", "c", "d")
		report := run(t, a, Options{PageSize: 7, CanaryNamespaces: []string{"d", "b", "d", "a", "", "absent"}})
		assert.True(t, report.Complete)
		assert.Equal(t, []int64{80, 80, 0}, []int64{report.Listed, report.Migrated, report.Skipped})
		keys := a.patched()
		assert.Equal(t, "a/000", keys[0])
		assert.ElementsMatch(t, []string{"b/000", "d/000"}, keys[1:3])
		slices.Sort(keys)
		assert.Len(t, slices.Compact(keys), 80)
	})
	t.Run("some are denied => told at once, by name, and counted once", func(t *testing.T) {
		a := inNamespaces(3, "a", "b", "c")
		a.before = onPatches(func(key string) bool { return key == "a/000" || strings.HasPrefix(key, "b/") }, denied())
		var told []Canary
		var before [][]string
		report := run(t, a, Options{CanaryNamespaces: []string{"a", "b", "c"}, Concurrency: 1, Canary: func(c Canary) {
			told, before = append(told, c), append(before, a.patched())
		}})
		failure := Failure{
			Namespace: "a", Name: "000", Reason: ReasonDenied, Webhook: "deny.example.com",
			Message: `admission webhook "deny.example.com" denied the request: no`,
		}
		want := []Canary{{Resource: secrets(), Failure: failure}, {Resource: secrets(), Failure: failure}}
		want[1].Namespace = "b"
		assert.Equal(t, want, told)
		assert.Equal(t, [][]string{{"a/000"}, {"a/000", "b/000"}}, before)
		assert.Equal(t, []int64{9, 4, 5}, []int64{report.Listed, report.Failed, report.Migrated})
		assert.Len(t, report.Failures, 4)
		assert.Len(t, a.patched(), 9)
	})
	t.Run("the first objects of a namespace are current => the first that is not", func(t *testing.T) {
		a := newFakeAPI()
		a.createStale("a/000")
		a.createStale("b/400")
		baseline := fmt.Sprint(a.rv)
		for i := range 400 {
			a.create(fmt.Sprintf("b/%03d", i), "data")
		}
		report := run(t, a, Options{Baseline: baseline, PageSize: 5, CanaryNamespaces: []string{"b"}})
		assert.Equal(t, []string{"a/000", "b/400"}, a.patched())
		assert.Equal(t, []int64{402, 2, 400}, []int64{report.Listed, report.Migrated, report.Skipped})
		assert.Equal(t, []string{"b", "b"}, a.listedNamespaces())
	})
	t.Run("everything in a namespace is current => none", func(t *testing.T) {
		a := newFakeAPI()
		a.createStale("a/000")
		baseline := fmt.Sprint(a.rv)
		for i := range 600 {
			a.create(fmt.Sprintf("b/%03d", i), "data")
		}
		report := run(t, a, Options{Baseline: baseline, CanaryNamespaces: []string{"b"}})
		assert.Equal(t, []string{"a/000"}, a.patched())
		assert.Equal(t, []string{"b", "b"}, a.listedNamespaces(), "the search has an end")
		assert.True(t, report.Complete)
	})
	t.Run("nothing is stale => nothing is asked about", func(t *testing.T) {
		a := newFakeAPI()
		baseline := fmt.Sprint(a.rv)
		a.create("a/000", "data")
		run(t, a, Options{Baseline: baseline, CanaryNamespaces: []string{"a"}})
		assert.Empty(t, a.patched())
		assert.Empty(t, a.listedNamespaces())
	})
	t.Run("the first object's deletion waits for nothing => another one is the canary", func(t *testing.T) {
		a := inNamespaces(2, "a", "b")
		for _, key := range []string{"a/000", "b/000"} {
			now := metav1.Now()
			a.objects[key].meta.DeletionTimestamp = &now
		}
		var told []Canary
		report := run(t, a, Options{CanaryNamespaces: []string{"b"}, Canary: func(c Canary) { told = append(told, c) }})
		assert.Equal(t, []string{"a/001", "b/001"}, a.patched())
		assert.Equal(t, []int64{4, 2, 2}, []int64{report.Listed, report.Failed, report.Migrated})
		assert.Empty(t, told)
	})
	t.Run("the canary is deleted, changed, or made again before it is listed => the sum is right", func(t *testing.T) {
		a := inNamespaces(3, "a", "b", "c", "d")
		a.before = onceAtPatch("a/002", func() {
			a.remove("b/000")
			a.store(a.objects["c/000"])
			a.remove("d/000")
			a.create("d/000", "new")
			a.compact() // The pages that follow show the later state.
		})
		report := run(t, a, Options{PageSize: 1, Concurrency: 1, CanaryNamespaces: []string{"b", "c", "d"}})
		assert.Equal(t, 1, report.Passes)
		assert.Equal(t, int64(13), report.Listed, "the one that was deleted and the one that came after it are two")
	})
	t.Run("a namespace can't be listed => no canary, and no error", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := inNamespaces(3, "a", "b", "c")
			a.before = func(r fakeRequest) *fakeFault {
				if r.namespace == "b" {
					return &fakeFault{status: statusFor(403, metav1.StatusReasonForbidden, "no")}
				}
				return nil
			}
			assert.True(t, run(t, a, Options{CanaryNamespaces: []string{"b", "c"}}).Complete)
			assert.Equal(t, []string{"a/000", "c/000"}, a.patched()[:2])
		})
	})
	t.Run("a namespace's list is older than the baseline => the run ends with what was done", func(t *testing.T) {
		a := inNamespaces(3, "a", "b")
		a.before = func(r fakeRequest) *fakeFault {
			if r.namespace == "b" {
				a.rv = 900
			}
			return nil
		}
		report, err := Run(t.Context(), a.client(t), secrets(), Options{CanaryNamespaces: []string{"b"}})
		require.ErrorIs(t, err, ErrWentBack)
		assert.Equal(t, int64(1), report.Migrated)
	})
	t.Run("the server goes away => that is said after the time of one page, whatever the number of namespaces", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, namespaces := newFakeAPI(), []string(nil)
			for i := range 100 {
				namespaces = append(namespaces, fmt.Sprintf("ns-%03d", i))
				a.createStale(namespaces[i] + "/000")
			}
			a.before = func(r fakeRequest) *fakeFault {
				if r.number > 3 {
					return &fakeFault{status: statusFor(503, metav1.StatusReasonServiceUnavailable, "away")}
				}
				return nil
			}
			start := time.Now()
			_, err := Run(t.Context(), a.client(t), secrets(), Options{CanaryNamespaces: namespaces})
			require.ErrorIs(t, err, ErrUnavailable)
			assert.Equal(t, DefaultObjectTimeout, time.Since(start))
		})
	})
	t.Run("a namespace's list expires => no canary, and no error", func(t *testing.T) {
		a := inNamespaces(3, "a", "b")
		a.before = func(r fakeRequest) *fakeFault {
			if r.namespace == "b" {
				return &fakeFault{status: statusFor(410, metav1.StatusReasonExpired, "too old")}
			}
			return nil
		}
		assert.True(t, run(t, a, Options{CanaryNamespaces: []string{"b"}}).Complete)
	})
}

func TestRun_manyCanaries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var namespaces []string
		for i := range 1000 {
			namespaces = append(namespaces, fmt.Sprintf("ns-%04d", i))
		}
		a := inNamespaces(1, namespaces...)
		a.createStale("a/first")
		client := &slowClient{Client: a.client(t), delay: 100 * time.Millisecond}
		start := time.Now()
		report, err := Run(t.Context(), client, secrets(), Options{CanaryNamespaces: namespaces})
		require.NoError(t, err)
		assert.Equal(t, []int64{1001, 1001}, []int64{report.Listed, report.Migrated})
		assert.Less(t, time.Since(start), 20*time.Second, "100 s if it were one by one")
	})
}

func TestPass_canaryNamespaces(t *testing.T) {
	p := &pass{engine: newEngine(nil, secrets(), Options{CanaryNamespaces: []string{"b", "a", "b", "c", ""}})}
	assert.Equal(t, []string{"a", "b"}, p.canaryNamespaces("c"))
	p.resource.Namespaced = false
	assert.Empty(t, p.canaryNamespaces(""), "a resource without namespaces has its first object alone")
}

// listedNamespaces are the namespaces that were listed one by one.
func (a *fakeAPI) listedNamespaces() []string {
	var namespaces []string
	for _, r := range a.requests {
		if r.verb == "get" && r.namespace != "" {
			namespaces = append(namespaces, r.namespace)
		}
	}
	return namespaces
}
