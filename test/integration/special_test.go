// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// Objects that an ordinary write would be refused for, or would change.
func TestObjectsThatAreNotLikeOthers(t *testing.T) {
	define(t, widgets)
	ns := namespace(t, "special")
	tests := map[string]struct {
		resource migrate.Resource
		make     func(*testing.T, *unstructured.Unstructured) *unstructured.Unstructured
	}{
		"immutable-secret":          {secrets, immutable},
		"immutable-configmap":       {configMaps, immutable},
		"secret-held-by-finalizer":  {secrets, heldByFinalizer},
		"widget-held-by-finalizer":  {widgets, heldByFinalizer},
		"secret-without-managers":   {secrets, withoutManagedFields},
		"widget-without-managers":   {widgets, withoutManagedFields},
		"secret-of-an-owner":        {secrets, owned},
		"configmap-in-plaintext":    {configMaps, inPlaintext},
		"configmap-of-binary-bytes": {configMaps, binary},
	}
	before := map[string]*unstructured.Unstructured{}
	for name, tt := range tests {
		made := tt.make(t, newObject(tt.resource, ns, name, "as it was"))
		before[name] = get(t, tt.resource, ns, name)
		assert.Equal(t, made.GetUID(), before[name].GetUID())
	}
	key := bare.rotate(t, "aesgcm")
	for _, r := range []migrate.Resource{secrets, configMaps, widgets} {
		report := migrateAll(t, r, migrate.Options{Baseline: baseline(t, r)})
		assert.True(t, report.Complete)
		assert.Zero(t, report.Altered)
		bare.requireAllStoredWith(t, key, r)
	}
	for name, tt := range tests {
		after := get(t, tt.resource, ns, name)
		assert.NotEqual(t, before[name].GetResourceVersion(), after.GetResourceVersion(), name)
		after.SetResourceVersion(before[name].GetResourceVersion())
		assert.Equal(t, before[name], after, name)
	}
}

func immutable(t *testing.T, o *unstructured.Unstructured) *unstructured.Unstructured {
	o.Object["immutable"] = true
	return create(t, resourceOf(o), o)
}

// heldByFinalizer is an object that is deleted and stays until its finalizer is gone.
func heldByFinalizer(t *testing.T, o *unstructured.Unstructured) *unstructured.Unstructured {
	o.SetFinalizers([]string{group + "/hold"})
	r := resourceOf(o)
	made := create(t, r, o)
	client := bare.of(r, o.GetNamespace())
	require.NoError(t, client.Delete(t.Context(), o.GetName(), metav1.DeleteOptions{}))
	t.Cleanup(func() {
		_, err := client.Patch(context.WithoutCancel(t.Context()), o.GetName(), types.MergePatchType,
			[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		require.NoError(t, err)
	})
	return made
}

// withoutManagedFields is an object as it was made before managedFields were kept.
func withoutManagedFields(t *testing.T, o *unstructured.Unstructured) *unstructured.Unstructured {
	r := resourceOf(o)
	create(t, r, o)
	bared, err := bare.of(r, o.GetNamespace()).Patch(t.Context(), o.GetName(), types.MergePatchType,
		[]byte(`{"metadata":{"managedFields":[{}]}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	require.Empty(t, bared.GetManagedFields())
	return bared
}

func owned(t *testing.T, o *unstructured.Unstructured) *unstructured.Unstructured {
	owner := create(t, configMaps, newObject(configMaps, o.GetNamespace(), "owner-of-"+o.GetName(), "as it was"))
	o.SetOwnerReferences([]metav1.OwnerReference{{
		APIVersion: "v1", Kind: "ConfigMap", Name: owner.GetName(), UID: owner.GetUID(), BlockOwnerDeletion: new(true), Controller: new(true),
	}})
	o.SetAnnotations(map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "{}"})
	return create(t, secrets, o)
}

func binary(t *testing.T, o *unstructured.Unstructured) *unstructured.Unstructured {
	o.Object["binaryData"] = map[string]any{"bytes": "AAECA//+"}
	return create(t, configMaps, o)
}

// inPlaintext is an object that was stored before encryption was on, in JSON as it was long ago.
func inPlaintext(t *testing.T, o *unstructured.Unstructured) *unstructured.Unstructured {
	o.SetUID("11111111-2222-3333-4444-555555555555")
	o.SetCreationTimestamp(metav1.NewTime(time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC)))
	data, err := o.MarshalJSON()
	require.NoError(t, err)
	bare.put(t, "/registry/configmaps/"+o.GetNamespace()+"/"+o.GetName(), string(data))
	return o
}

func resourceOf(o *unstructured.Unstructured) migrate.Resource {
	for _, r := range []migrate.Resource{secrets, configMaps, widgets} {
		if r.Kind == o.GetKind() {
			return r
		}
	}
	return migrate.Resource{}
}

// An object that today's validation refuses is named, and everything else is migrated.
func TestAnObjectThatIsInvalidToday(t *testing.T) {
	ns := namespace(t, "invalid")
	fill(t, secrets, ns, 20)
	path := "/registry/secrets/" + ns + "/broken-certificate"
	bare.put(t, path, `{"apiVersion":"v1","kind":"Secret","type":"kubernetes.io/tls","metadata":{"name":"broken-certificate",`+
		`"namespace":"`+ns+`","uid":"aaaaaaaa-2222-3333-4444-555555555555","creationTimestamp":"2017-01-01T00:00:00Z"},"data":{}}`)
	key := bare.rotate(t, "secretbox")
	from := baseline(t, secrets)
	report := migrateAll(t, secrets, migrate.Options{Baseline: from})
	assert.False(t, report.Complete)
	require.Len(t, report.Failures, 1)
	assert.Equal(t, migrate.ReasonInvalid, report.Failures[0].Reason)
	assert.Equal(t, ns+"/broken-certificate", report.Failures[0].Namespace+"/"+report.Failures[0].Name)
	assert.NotContains(t, report.Failures[0].Message, "2017")
	assert.Equal(t, []string{ns + "/broken-certificate"}, bare.notStoredWith(t, key, secrets))
	_, stale := countStale(t, secrets, from)
	assert.Equal(t, int64(1), stale)
}

// A value that no kube-apiserver can decrypt ends the run with an error: how many objects there are can't be told.
func TestAValueThatCannotBeDecrypted(t *testing.T) {
	ns := namespace(t, "lost")
	fill(t, configMaps, ns, 20)
	path := "/registry/configmaps/" + ns + "/of-a-lost-key"
	bare.put(t, path, "k8s:enc:aesgcm:v1:lost:0123456789012345678901234567890123456789")
	dropped := false
	t.Cleanup(func() {
		if !dropped {
			bare.drop(t, path)
		}
	})
	key := bare.rotate(t, "aesgcm")
	report, err := migrate.Run(t.Context(), bare.migrator, configMaps, migrate.Options{})
	require.ErrorContains(t, err, path, "the value is named")
	require.NotErrorIs(t, err, migrate.ErrUnavailable, "the server is there")
	assert.False(t, report.Complete)
	bare.drop(t, path)
	dropped = true
	after := migrateAll(t, configMaps, migrate.Options{})
	assert.True(t, after.Complete)
	bare.requireAllStoredWith(t, key, configMaps)
}
