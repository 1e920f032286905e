// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
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
	for _, in := range bare.APIServers {
		err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			_, err := in.of(r, namespace).Patch(ctx, "o-0", types.MergePatchType, []byte(`{}`), metav1.PatchOptions{DryRun: []string{"All"}})
			return (err != nil && strings.Contains(err.Error(), by)) == inTheWay, nil
		})
		require.NoError(t, err, "%s: %s", in.Name, by)
	}
}

// requireFailed migrates where everything in a namespace is denied: that is reported, and all else is migrated.
func requireFailed(t *testing.T, r migrate.Resource, key encryptionKey, namespace string, reason migrate.Reason, count int64) (from string, first migrate.Failure) {
	t.Helper()
	from = baseline(t, r)
	report := migrateAll(t, r, migrate.Options{Baseline: from})
	assert.False(t, report.Complete)
	assert.Equal(t, map[migrate.Reason]int64{reason: count}, report.Reasons)
	left := bare.notStoredWith(t, key, r)
	assert.Equal(t, count, int64(len(left)))
	for _, name := range left {
		assert.True(t, strings.HasPrefix(name, namespace+"/"), name)
	}
	_, stale := countStale(t, r, from)
	assert.Equal(t, count, stale)
	require.NotEmpty(t, report.Failures)
	return from, report.Failures[0]
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

	require.NoError(t, bindings.Delete(t.Context(), name, metav1.DeleteOptions{}))
	awaitAnswer(t, configMaps, ns, name, false)
	report := migrateAll(t, configMaps, migrate.Options{Baseline: from})
	assert.True(t, report.Complete, "a second run finishes what the first could not")
	assert.Equal(t, int64(31), report.Migrated)
	bare.requireAllStoredWith(t, key, configMaps)
}

func TestAWebhookThatDeniesAndThenIsGone(t *testing.T) {
	ns := namespace(t, "webhook")
	fill(t, secrets, ns, 10)
	const name = "guard.integration.example.com"
	server := httptest.NewTLSServer(http.HandlerFunc(deny))
	defer server.Close()
	webhooks := bare.typed.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	_, err := webhooks.Create(t.Context(), &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: name, AdmissionReviewVersions: []string{"v1"}, NamespaceSelector: only(ns), TimeoutSeconds: new(int32(2)),
			SideEffects:  new(admissionregistrationv1.SideEffectClassNone),
			ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: &server.URL, CABundle: certificate(server)},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Update}, Rule: updatesOf("secrets"),
			}},
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = webhooks.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}) })
	awaitAnswer(t, secrets, ns, name, true)

	key := bare.rotate(t, "aesgcm")
	from, failure := requireFailed(t, secrets, key, ns, migrate.ReasonDenied, 10)
	assert.Equal(t, name, failure.Webhook)
	assert.Contains(t, failure.Message, "not on my watch")

	server.Close()
	report := migrateAll(t, secrets, migrate.Options{Baseline: from})
	assert.Equal(t, map[migrate.Reason]int64{migrate.ReasonWebhookFailed: 10}, report.Reasons)
	require.NotEmpty(t, report.Failures)
	assert.Equal(t, name, report.Failures[0].Webhook)

	require.NoError(t, webhooks.Delete(t.Context(), name, metav1.DeleteOptions{}))
	awaitAnswer(t, secrets, ns, name, false)
	assert.True(t, migrateAll(t, secrets, migrate.Options{Baseline: from}).Complete)
	bare.requireAllStoredWith(t, key, secrets)
}

// deny is a webhook that says no.
func deny(w http.ResponseWriter, r *http.Request) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	review.Response = &admissionv1.AdmissionResponse{
		UID: review.Request.UID, Result: &metav1.Status{Message: "not on my watch", Code: http.StatusConflict},
	}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review) // who asks finds out
}

func certificate(server *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}
