// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/util/managedfields/managedfieldstest"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// stored is a Secret as kubectl create leaves it.
func stored(t *testing.T, fields string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	require.NoError(t, o.UnmarshalJSON([]byte(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","namespace":"ns",
		"uid":"u","resourceVersion":"7","labels":{"x":"y"}},"data":{"a":"Yg=="}}`)))
	if fields != "" {
		o.SetManagedFields([]metav1.ManagedFieldsEntry{{
			Manager: "kubectl-create", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1",
			FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields),
		}})
	}
	return o
}

// The field manager in these tests is the one that kube-apiserver runs.
func TestBodyOf_underTheServersFieldManager(t *testing.T) {
	const fields = `{"f:data":{".":{},"f:a":{}},"f:metadata":{"f:labels":{".":{},"f:x":{}}}}`
	gvk := schema.GroupVersionKind{Version: "v1", Kind: "Secret"}
	manager := managedfieldstest.NewFakeFieldManager(managedfields.NewDeducedTypeConverter(), gvk)
	listed := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: "a", Namespace: "ns", UID: "u", ResourceVersion: "7",
	}}
	apply := func(t *testing.T, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		t.Helper()
		raw, err := bodyOf(secrets(), listed, types.ApplyPatchType)
		require.NoError(t, err)
		body := &unstructured.Unstructured{}
		require.NoError(t, body.UnmarshalJSON(raw))
		got, err := manager.Apply(live.DeepCopy(), body, project.FieldManager, false)
		if err != nil {
			return nil, err
		}
		return got.(*unstructured.Unstructured), nil
	}

	t.Run("an apply changes nothing and owns nothing", func(t *testing.T) {
		live := stored(t, fields)
		got, err := apply(t, live)
		require.NoError(t, err)
		assert.Equal(t, live.Object, got.Object)
	})
	t.Run("an apply would change an object without managedFields, so it gets none", func(t *testing.T) {
		live := stored(t, "")
		got, err := apply(t, live)
		require.NoError(t, err)
		assert.NotEqual(t, live.Object, got.Object)
		assert.Equal(t, types.MergePatchType, kindOf(listed, ""))
	})
	t.Run("an apply fails on managedFields that can't be decoded", func(t *testing.T) {
		_, err := apply(t, stored(t, `{"f:data":7}`))
		require.ErrorContains(t, err, "failed to decode managed fields")
	})
	t.Run("an update that changes nothing leaves managedFields that can be decoded, and their absence", func(t *testing.T) {
		for _, f := range []string{"", fields} {
			live := stored(t, f)
			got := manager.UpdateNoErrors(live.DeepCopy(), live.DeepCopy(), project.FieldManager)
			assert.Equal(t, live.Object, got.(*unstructured.Unstructured).Object)
		}
	})
	t.Run("an update drops managedFields that nobody can decode", func(t *testing.T) {
		live := stored(t, `{"f:data":7}`)
		got := manager.UpdateNoErrors(live.DeepCopy(), live.DeepCopy(), project.FieldManager)
		assert.Empty(t, got.(*unstructured.Unstructured).GetManagedFields())
	})
}

func TestBodyOf(t *testing.T) {
	o := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: "a", Namespace: "ns", UID: "u", ResourceVersion: "7", Labels: map[string]string{"x": "y"},
	}}
	crd := Resource{GVR: schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "things"}, Kind: "Thing"}
	for name, tc := range map[string]struct {
		pt   types.PatchType
		want string
	}{
		"an apply => who the object is": {
			types.ApplyPatchType,
			`{"apiVersion":"example.com/v1","kind":"Thing","metadata":{"name":"a","namespace":"ns","uid":"u","resourceVersion":"7"}}`,
		},
		"a merge patch => the preconditions": {types.MergePatchType, `{"metadata":{"uid":"u","resourceVersion":"7"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := bodyOf(crd, o, tc.pt)
			require.NoError(t, err)
			assert.JSONEq(t, tc.want, string(raw))
		})
	}
}
