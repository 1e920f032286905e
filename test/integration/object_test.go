// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"context"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// group of the custom resources.
const group = "integration.example.com"

var (
	secrets = migrate.Resource{
		GVR: schema.GroupVersionResource{Version: "v1", Resource: "secrets"}, Kind: "Secret", Namespaced: true,
	}
	configMaps = migrate.Resource{
		GVR: schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, Kind: "ConfigMap", Namespaced: true,
	}
	widgets = migrate.Resource{
		GVR: schema.GroupVersionResource{Group: group, Version: "v1", Resource: "widgets"}, Kind: "Widget", Namespaced: true,
	}
	gadgets = migrate.Resource{
		GVR: schema.GroupVersionResource{Group: group, Version: "v1", Resource: "gadgets"}, Kind: "Gadget", Namespaced: true,
	}
)

// newObject is an object that holds a text.
func newObject(r migrate.Resource, namespace, name, text string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{}}
	o.SetGroupVersionKind(r.GVR.GroupVersion().WithKind(r.Kind))
	o.SetNamespace(namespace)
	o.SetName(name)
	setText(o, text)
	return o
}

func setText(o *unstructured.Unstructured, text string) {
	if o.GetKind() == "Secret" {
		text = base64.StdEncoding.EncodeToString([]byte(text))
	}
	_ = unstructured.SetNestedField(o.Object, text, "data", "text") // a string can be set in any object
}

func textOf(o *unstructured.Unstructured) string {
	text, _, _ := unstructured.NestedString(o.Object, "data", "text")
	if o.GetKind() != "Secret" {
		return text
	}
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return text
	}
	return string(plain)
}

// namespace makes a namespace of a name that begins so. After the test no object of these tests is in it any more, and it is
// being deleted; kube-controller-manager takes five seconds for that, which no later test waits for.
func namespace(t *testing.T, name string) string {
	t.Helper()
	client := bare.typed.CoreV1().Namespaces()
	made, err := client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: name + "-"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	name = made.Name
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		for _, r := range []migrate.Resource{secrets, configMaps} {
			require.NoError(t, bare.of(r, name).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
		}
		require.NoError(t, client.Delete(ctx, name, metav1.DeleteOptions{}))
	})
	return name
}

// fill makes many objects, named o-0, o-1 and so on.
func fill(t *testing.T, r migrate.Resource, namespace string, count int) {
	t.Helper()
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(24)
	for i := range count {
		g.Go(func() error {
			o := newObject(r, namespace, fmt.Sprintf("o-%d", i), "as it was")
			_, err := bare.APIServers[i%len(bare.APIServers)].of(r, namespace).Create(ctx, o, metav1.CreateOptions{})
			return err
		})
	}
	require.NoError(t, g.Wait())
}

func (in *instance) of(r migrate.Resource, namespace string) dynamic.ResourceInterface {
	return in.objects.Resource(r.GVR).Namespace(namespace)
}

func (cp *controlPlane) of(r migrate.Resource, namespace string) dynamic.ResourceInterface {
	return cp.objects.Resource(r.GVR).Namespace(namespace)
}

// create makes one object.
func create(t *testing.T, r migrate.Resource, o *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	created, err := bare.of(r, o.GetNamespace()).Create(t.Context(), o, metav1.CreateOptions{})
	require.NoError(t, err)
	return created
}

func get(t *testing.T, r migrate.Resource, namespace, name string) *unstructured.Unstructured {
	t.Helper()
	o, err := bare.of(r, namespace).Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	return o
}

// define has the control plane of all tests serve a custom resource until the test is over.
func define(t *testing.T, r migrate.Resource) {
	t.Helper()
	t.Cleanup(func() { undefine(context.WithoutCancel(t.Context()), t, r) })
	bare.define(t, r)
}

// define has a control plane serve a custom resource.
func (cp *controlPlane) define(t *testing.T, r migrate.Resource) {
	t.Helper()
	crd := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": r.String()},
		"spec": map[string]any{
			"group": group, "scope": "Namespaced", "names": map[string]any{"plural": r.GVR.Resource, "kind": r.Kind},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true, "schema": map[string]any{
					"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true},
				},
			}},
		},
	}}
	_, err := cp.definitions().Create(t.Context(), crd, metav1.CreateOptions{})
	require.NoError(t, err)
	for _, in := range cp.APIServers {
		err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			_, err := in.of(r, "default").List(ctx, metav1.ListOptions{Limit: 1})
			return err == nil, nil
		})
		require.NoError(t, err, "%s does not serve %s", in.Name, r)
	}
}

func (cp *controlPlane) definitions() dynamic.ResourceInterface {
	return cp.objects.Resource(schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
	})
}

// undefine ends what define has begun; all objects go with it.
func undefine(ctx context.Context, t *testing.T, r migrate.Resource) {
	t.Helper()
	err := bare.definitions().Delete(ctx, r.String(), metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return
	}
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	require.NoError(t, wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		_, err := bare.definitions().Get(ctx, r.String(), metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	}), "%s is not gone", r)
}
