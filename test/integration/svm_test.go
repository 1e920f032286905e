// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/svm"
)

// forbid is to say no in a way that the cluster's own controller does not take for done.
func forbid(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	return &admissionv1.AdmissionResponse{Result: &metav1.Status{Message: "not on my watch", Code: http.StatusForbidden}}
}

// handOver has the cluster's own controller migrate a resource.
func handOver(t *testing.T, r migrate.Resource, baseline string) (migrate.Report, error) {
	t.Helper()
	start := time.Now()
	told := func(format string, args ...any) {
		t.Logf("%6.1fs  %s", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
	}
	report, err := svm.Run(t.Context(), bare.typed, bare.migrator, r, svm.Options{
		Baseline: baseline, Run: "integration",
		Notice: func(text string) { told("%s", text) },
		Progress: func(p migrate.Progress) {
			if p.Done == p.Total {
				told("pass %d: %d of %d, %d migrated, %.0f/s", p.Pass, p.Done, p.Total, p.Migrated, p.Rate)
			}
		},
	})
	told("%+v: %v", report, err)
	list, listErr := bare.typed.StoragemigrationV1().StorageVersionMigrations().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, listErr)
	assert.Empty(t, list.Items, "nothing is left behind")
	return report, err
}

// keepWriting creates an object every two seconds until the test is over: the controller's cache catches up by it.
func keepWriting(t *testing.T, r migrate.Resource, namespace string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			_, err := bare.of(r, namespace).Create(ctx, newObject(r, namespace, fmt.Sprintf("later-%d", i), "later"), metav1.CreateOptions{})
			if ctx.Err() == nil {
				assert.NoError(t, err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(2 * time.Second):
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		writer.Wait()
	})
}

func TestTheClustersOwnControllerMigrates(t *testing.T) {
	served, err := svm.Served(t.Context(), bare.typed)
	require.NoError(t, err)
	require.True(t, served)
	ns := namespace(t, "svm")
	fill(t, secrets, ns, 200)
	key := bare.rotate(t, "aesgcm")
	<-time.After(settle)
	from := baseline(t, secrets)
	objects, stale := countStale(t, secrets, from)
	require.Equal(t, objects, stale)
	keepWriting(t, secrets, namespace(t, "svm-writer"))

	report, err := handOver(t, secrets, from)
	require.NoError(t, err)
	assert.True(t, report.Complete)
	assert.Equal(t, stale, report.Migrated)
	assert.Equal(t, 1, report.Passes, "the own engine had nothing to do")
	bare.requireAllStoredWith(t, key, secrets)
	requireUntouched(t, secrets, ns)
}

// A denial of most kinds ends the controller's migration, and the object is named though the controller doesn't.
// A denial by code 409 it takes for done: the proof does not.
func TestWebhooksInTheWayOfTheClustersOwnController(t *testing.T) {
	ns := namespace(t, "svm-webhook")
	fill(t, secrets, ns, 5)
	others := namespace(t, "svm-others")
	fill(t, secrets, others, 50)
	keepWriting(t, secrets, namespace(t, "svm-writer"))
	guard := post(t, "forbids.integration.example.com", secrets, ns, forbid)
	key := bare.rotate(t, "secretbox")
	<-time.After(settle)
	from := baseline(t, secrets)

	report, err := handOver(t, secrets, from)
	require.ErrorIs(t, err, svm.ErrFailed)
	require.ErrorContains(t, err, "not on my watch")
	require.ErrorContains(t, err, ns+"/o-")
	assert.False(t, report.Complete)
	require.NotEmpty(t, report.Failures)
	assert.Equal(t, ns, report.Failures[0].Namespace)
	assert.Equal(t, guard.name, report.Failures[0].Webhook)
	assert.Contains(t, bare.notStoredWith(t, key, secrets), ns+"/"+report.Failures[0].Name)
	guard.dismiss(t, secrets, ns)

	guard = post(t, "denies.integration.example.com", secrets, ns, deny)
	report, err = handOver(t, secrets, from)
	require.NoError(t, err)
	assert.False(t, report.Complete)
	assert.Equal(t, map[migrate.Reason]int64{migrate.ReasonDenied: 5}, report.Reasons())
	assert.Len(t, requireNotStored(t, key, secrets, ns), 5)
	guard.dismiss(t, secrets, ns)

	report, err = handOver(t, secrets, from)
	require.NoError(t, err)
	assert.True(t, report.Complete)
	bare.requireAllStoredWith(t, key, secrets)
}

// A custom resource's definition says that it is being migrated until the controller has let go.
func TestTheClustersOwnControllerMigratesACustomResource(t *testing.T) {
	define(t, widgets)
	ns := namespace(t, "svm-widgets")
	fill(t, widgets, ns, 20)
	key := bare.rotate(t, "aescbc")
	<-time.After(settle)
	from := baseline(t, widgets)
	keepWriting(t, widgets, ns)
	report, err := handOver(t, widgets, from)
	require.NoError(t, err)
	assert.True(t, report.Complete)
	bare.requireAllStoredWith(t, key, widgets)
	crd, err := bare.definitions().Get(t.Context(), widgets.String(), metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, "False", conditionOf(t, crd, "StorageMigrating"))
}

func conditionOf(t *testing.T, o *unstructured.Unstructured, condition string) string {
	t.Helper()
	conditions, _, err := unstructured.NestedSlice(o.Object, "status", "conditions")
	require.NoError(t, err)
	for _, c := range conditions {
		if c, ok := c.(map[string]any); ok && c["type"] == condition {
			return fmt.Sprint(c["status"])
		}
	}
	return ""
}
