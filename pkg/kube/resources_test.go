// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
)

// serving is a discovery client that answers with what it is given.
type serving struct {
	discovery.DiscoveryInterface
	lists []*metav1.APIResourceList
	err   error
}

func (s serving) ServerPreferredResources() ([]*metav1.APIResourceList, error) { return s.lists, s.err }

func apiResource(name, kind string, namespaced bool, verbs ...string) metav1.APIResource {
	return metav1.APIResource{Name: name, Kind: kind, Namespaced: namespaced, Verbs: verbs}
}

func lists() []*metav1.APIResourceList {
	return []*metav1.APIResourceList{
		{GroupVersion: "v1", APIResources: []metav1.APIResource{
			apiResource("secrets", "Secret", true, "get", "list", "patch"), apiResource("secrets/status", "Secret", true, "list", "patch"),
			apiResource("configmaps", "ConfigMap", true, "list", "patch"), apiResource("bindings", "Binding", true, "create"),
			apiResource("componentstatuses", "ComponentStatus", false, "list", "get"), apiResource("events", "Event", true, "list", "patch"),
		}},
		{GroupVersion: "apps/v1", APIResources: []metav1.APIResource{apiResource("deployments", "Deployment", true, "list", "patch")}},
		{GroupVersion: "example.com/v2", APIResources: []metav1.APIResource{apiResource("widgets", "Widget", false, "list", "patch")}},
		{GroupVersion: "example.com/v2", APIResources: []metav1.APIResource{apiResource("widgets", "Widget", false, "list", "patch")}},
	}
}

func TestResourcesAreEachListedOnceByName(t *testing.T) {
	t.Parallel()
	c := &kube.Cluster{Discovery: serving{lists: lists()}}
	served, err := c.Resources(t.Context())
	require.NoError(t, err)
	var names []string
	for _, r := range served {
		names = append(names, r.Name())
	}
	assert.Equal(t, []string{
		"bindings", "componentstatuses", "configmaps", "deployments.apps", "events", "secrets", "widgets.example.com",
	}, names)
	widget := served[len(served)-1]
	assert.Equal(t, kube.Resource{
		GVR: schema.GroupVersionResource{Group: "example.com", Version: "v2", Resource: "widgets"}, Kind: "Widget", Migratable: true,
	}, widget)
	assert.False(t, served[0].Migratable, "bindings can only be made")
	assert.False(t, served[1].Migratable, "componentstatuses are stored nowhere")
}

func TestResourcesOutlastAGroupThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	down := &discovery.ErrGroupDiscoveryFailed{Groups: map[schema.GroupVersion]error{
		{Group: "metrics.k8s.io", Version: "v1beta1"}: errors.New("503"),
	}}
	served, err := (&kube.Cluster{Discovery: serving{lists: lists(), err: down}}).Resources(t.Context())
	require.NoError(t, err)
	assert.NotEmpty(t, served)
	_, err = (&kube.Cluster{Discovery: serving{err: errors.New("no")}}).Resources(t.Context())
	require.EqualError(t, err, "discover resources: no")
	_, err = (&kube.Cluster{Discovery: serving{lists: []*metav1.APIResourceList{{GroupVersion: "a/b/c"}}}}).Resources(t.Context())
	assert.ErrorContains(t, err, "discover resources: ")
}

func TestSelect(t *testing.T) {
	t.Parallel()
	served, err := (&kube.Cluster{Discovery: serving{lists: lists()}}).Resources(t.Context())
	require.NoError(t, err)
	tests := map[string]struct {
		names   []string
		want    []string
		message string
	}{
		"nothing is nothing":                   {nil, nil, ""},
		"in the order in which they are named": {[]string{"widgets.example.com", "secrets"}, []string{"widgets.example.com", "secrets"}, ""},
		"each once":                            {[]string{"secrets", "secrets"}, []string{"secrets"}, ""},
		"without its group it is not found":    {[]string{"deployments"}, nil, `the server does not serve a resource "deployments"`},
		"short names are not resources":        {[]string{"cm"}, nil, `the server does not serve a resource "cm"`},
		"singular names are not resources":     {[]string{"secret"}, nil, `the server does not serve a resource "secret"`},
		"a wildcard is not a resource":         {[]string{"*.*"}, nil, `the server does not serve a resource "*.*"`},
		"an empty name":                        {[]string{""}, nil, `the server does not serve a resource ""`},
		"what can't be patched":                {[]string{"componentstatuses"}, nil, `objects of "componentstatuses" can't be listed and patched`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			selected, err := kube.Select(served, tt.names)
			if tt.message != "" {
				require.ErrorContains(t, err, tt.message)
				assert.Empty(t, selected)
				return
			}
			require.NoError(t, err)
			var names []string
			for _, r := range selected {
				names = append(names, r.Name())
			}
			assert.Equal(t, tt.want, names)
		})
	}
	_, err = kube.Select(served, []string{"deployments"})
	assert.Contains(t, hint.Render(err), "kubectl api-resources lists what is served")
}
