// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// updates of a core resource in one namespace.
func updatesOf(resource string) admissionregistrationv1.Rule {
	return admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{resource}}
}

func only(namespace string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": namespace}}
}

// awaitAnswer waits until every kube-apiserver answers a write of an object by naming who is in the way, or until
// none does any more.
func awaitAnswer(t *testing.T, r migrate.Resource, namespace, by string, inTheWay bool) {
	t.Helper()
	g, ctx := errgroup.WithContext(t.Context())
	for _, in := range bare.APIServers {
		g.Go(func() error {
			return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
				_, err := in.of(r, namespace).Patch(ctx, "o-0", types.MergePatchType, []byte(`{}`), metav1.PatchOptions{DryRun: []string{"All"}})
				return (err != nil && strings.Contains(err.Error(), by)) == inTheWay, nil
			})
		})
	}
	require.NoError(t, g.Wait(), by)
}

// requireFailed migrates where everything in a namespace is denied: that is reported, and all else is migrated.
func requireFailed(t *testing.T, r migrate.Resource, key encryptionKey, namespace string, reason migrate.Reason, count int64) (from string, first migrate.Failure) {
	t.Helper()
	from = baseline(t, r)
	report := migrateAll(t, r, migrate.Options{Baseline: from})
	assert.False(t, report.Complete)
	assert.Equal(t, map[migrate.Reason]int64{reason: count}, report.Reasons())
	assert.Equal(t, count, int64(len(requireNotStored(t, key, r, namespace))))
	_, stale := countStale(t, r, from)
	assert.Equal(t, count, stale)
	require.NotEmpty(t, report.Failures)
	return from, report.Failures[0]
}

// requireNotStored returns what is stored otherwise than with a key; all of it is in the given namespaces.
func requireNotStored(t *testing.T, key encryptionKey, r migrate.Resource, namespaces ...string) []string {
	t.Helper()
	left := bare.notStoredWith(t, key, r)
	for _, path := range left {
		namespace, _, _ := strings.Cut(path, "/")
		assert.Contains(t, namespaces, namespace, path)
	}
	return left
}

// requireEndAfter migrates where more objects are denied than a run may fail at: it ends early, and tells of those failures.
func requireEndAfter(t *testing.T, r migrate.Resource, baseline string, failures int64) {
	t.Helper()
	report, err := migrate.Run(t.Context(), bare.migrator, r, migrate.Options{Baseline: baseline, MaxFailures: failures, Concurrency: 1})
	t.Logf("%s: %+v", r, report)
	require.ErrorIs(t, err, migrate.ErrTooManyFailures)
	assert.False(t, report.Complete)
	assert.Equal(t, failures, report.Failed)
	assert.Len(t, report.Failures, int(failures))
}

func TestAPolicyThatDenies(t *testing.T) {
	ns := namespace(t, "policy")
	fill(t, configMaps, ns, 30)
	policies := bare.typed.AdmissionregistrationV1().ValidatingAdmissionPolicies()
	bindings := bare.typed.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	const name = "frozen.integration.example.com"
	_, err := policies.Create(t.Context(), &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Update}, Rule: updatesOf("configmaps"),
				},
			}}},
			Validations: []admissionregistrationv1.Validation{{Expression: "false", Message: "frozen until Monday"}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = policies.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}) })
	_, err = bindings.Create(t.Context(), &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
			MatchResources: &admissionregistrationv1.MatchResources{NamespaceSelector: only(ns)},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = bindings.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}) })
	awaitAnswer(t, configMaps, ns, name, true)

	key := bare.rotate(t, "secretbox")
	from, failure := requireFailed(t, configMaps, key, ns, migrate.ReasonDenied, 31)
	assert.Equal(t, name, failure.Policy)
	assert.Contains(t, failure.Message, "frozen until Monday")
	requireEndAfter(t, configMaps, from, 3)

	require.NoError(t, bindings.Delete(t.Context(), name, metav1.DeleteOptions{}))
	awaitAnswer(t, configMaps, ns, name, false)
	report := migrateAll(t, configMaps, migrate.Options{Baseline: from})
	assert.True(t, report.Complete, "a second run finishes what the first could not")
	assert.Equal(t, int64(31), report.Migrated)
	bare.requireAllStoredWith(t, key, configMaps)
}
