// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package admission_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/admission"
)

// namespace has one label, written as "key=value", or none.
func namespace(name, label string) metav1.PartialObjectMetadata {
	n := metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: name},
	}
	if key, value, ok := strings.Cut(label, "="); ok {
		n.Labels = map[string]string{key: value}
	}
	return n
}

func TestLoadNamesBothKinds(t *testing.T) {
	t.Parallel()
	mutating := &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "injector"},
		Webhooks: []admissionv1.MutatingWebhook{
			{Name: "one.example.com", Rules: []admissionv1.RuleWithOperations{rule()}},
			{Name: "other.example.com"},
			{Name: "two.example.com", Rules: []admissionv1.RuleWithOperations{rule()}},
		},
	}
	matching := load(t, validating("guard", "", nil, rule()), mutating).Matching(secrets(), true)
	require.Len(t, matching, 3)
	for i, want := range []struct {
		configuration, name string
		mutating            bool
	}{{"injector", "one.example.com", true}, {"injector", "two.example.com", true}, {"guard", "guard.example.com", false}} {
		assert.Equal(t, want.configuration, matching[i].Configuration)
		assert.Equal(t, want.name, matching[i].Name)
		assert.Equal(t, want.mutating, matching[i].Mutating)
	}
}

func TestLoadOfAClusterWithoutWebhooksFindsNone(t *testing.T) {
	t.Parallel()
	assert.Empty(t, load(t).Matching(secrets(), true))
}

func TestLoadGoesThroughAllPages(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset()
	pages := 0
	client.PrependReactor("list", "validatingwebhookconfigurations", func(action clienttesting.Action) (bool, runtime.Object, error) {
		opts := action.(clienttesting.ListActionImpl).ListOptions
		assert.Positive(t, opts.Limit)
		pages++
		list := &admissionv1.ValidatingWebhookConfigurationList{
			Items: []admissionv1.ValidatingWebhookConfiguration{*validating(fmt.Sprintf("page%d", pages), "", nil, rule())},
		}
		if pages < 3 {
			list.Continue = "more"
		}
		return true, list, nil
	})
	w, err := admission.Load(t.Context(), client)
	require.NoError(t, err)
	assert.Len(t, w.Matching(secrets(), true), 3)
}

func TestLoadKeepsTheReasonOfARefusal(t *testing.T) {
	t.Parallel()
	for _, resource := range []string{"mutatingwebhookconfigurations", "validatingwebhookconfigurations"} {
		t.Run(resource, func(t *testing.T) {
			t.Parallel()
			client := fake.NewClientset()
			client.PrependReactor("list", resource, forbidden(resource))
			_, err := admission.Load(t.Context(), client)
			require.Error(t, err)
			assert.True(t, apierrors.IsForbidden(err))
		})
	}
}

func forbidden(resource string) clienttesting.ReactionFunc {
	return func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", nil)
	}
}

func metadataClient(t *testing.T, objects ...runtime.Object) *metadatafake.FakeMetadataClient {
	t.Helper()
	scheme := metadatafake.NewTestScheme()
	require.NoError(t, metav1.AddMetaToScheme(scheme))
	return metadatafake.NewSimpleMetadataClient(scheme, objects...)
}

func TestListNamespacesKeepsNamesAndLabels(t *testing.T) {
	t.Parallel()
	a, b := namespace("a", "team=blue"), namespace("b", "")
	a.Annotations = map[string]string{"note": "long"}
	list, err := admission.ListNamespaces(t.Context(), metadataClient(t, &a, &b))
	require.NoError(t, err)
	require.Len(t, list, 2)
	assert.Equal(t, metav1.ObjectMeta{Name: "a", Labels: map[string]string{"team": "blue"}}, list[0].ObjectMeta)
	assert.Equal(t, metav1.ObjectMeta{Name: "b"}, list[1].ObjectMeta)
}

func TestListNamespacesKeepsTheReasonOfARefusal(t *testing.T) {
	t.Parallel()
	client := metadataClient(t)
	client.PrependReactor("list", "namespaces", forbidden("namespaces"))
	_, err := admission.ListNamespaces(t.Context(), client)
	require.Error(t, err)
	assert.True(t, apierrors.IsForbidden(err))
}
