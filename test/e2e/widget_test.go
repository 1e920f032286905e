// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
)

// widgets is the name of a custom resource as an encryption configuration has it.
const widgets = widgetsPlural + "." + widgetsGroup

const (
	widgetsPlural = "widgets"
	widgetsGroup  = "e2e.example.com"
)

func widgetsOf(t *testing.T, n *node) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(n.config)
	require.NoError(t, err)
	return client.Resource(schema.GroupVersionResource{Group: widgetsGroup, Version: "v1", Resource: widgetsPlural}).Namespace(seedNamespace)
}

// seedWidgets makes a custom resource and objects of it.
func (c *cluster) seedWidgets(t *testing.T) {
	t.Helper()
	client, err := dynamic.NewForConfig(c.config)
	require.NoError(t, err)
	definitions := client.Resource(schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
	})
	_, err = definitions.Create(t.Context(), widgetDefinition(), metav1.CreateOptions{})
	requireMade(t, err)
	c.createNamespace(t, seedNamespace)
	for i := range seeds {
		err := wait.PollUntilContextTimeout(t.Context(), time.Second, waitLimit, true, func(ctx context.Context) (bool, error) {
			_, err := widgetsOf(t, c.nodes[0]).Create(ctx, widget(seedName(i)), metav1.CreateOptions{})
			return err == nil, nil // a new resource is not served at once
		})
		require.NoError(t, err)
	}
}

type object = map[string]any

func widget(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: object{
		"apiVersion": widgetsGroup + "/v1", "kind": "Widget", "metadata": object{"name": name}, "value": seedValue(name),
	}}
}

func widgetDefinition() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: object{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": object{"name": widgets},
		"spec": object{
			"group": widgetsGroup, "scope": "Namespaced",
			"names": object{"plural": widgetsPlural, "singular": "widget", "kind": "Widget"},
			"versions": []any{object{
				"name": "v1", "served": true, "storage": true,
				"schema": object{"openAPIV3Schema": object{
					"type": "object", "properties": object{"value": object{"type": "string"}},
				}},
			}},
		},
	}}
}

// checkWidgets reads every custom object through each kube-apiserver.
func (c *cluster) checkWidgets(t *testing.T) {
	t.Helper()
	for _, n := range c.nodes {
		for i := range seeds {
			found, err := widgetsOf(t, n).Get(t.Context(), seedName(i), metav1.GetOptions{})
			if assert.NoError(t, err, "through %s", n.name) {
				assert.Equal(t, seedValue(seedName(i)), found.Object["value"], "through %s", n.name)
			}
		}
	}
}
