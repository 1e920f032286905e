// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"pgregory.net/rapid"
)

// What is done for every object without reflection does what reflection would do.

func TestWithOptionsSaysWhatTheCodecSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		opts := metav1.PatchOptions{
			FieldManager:    rapid.SampledFrom([]string{"", "a", "b c&d"}).Draw(t, "manager"),
			FieldValidation: rapid.SampledFrom([]string{"", "Strict"}).Draw(t, "validation"),
		}
		if rapid.Bool().Draw(t, "dry") {
			opts.DryRun = []string{metav1.DryRunAll}
		}
		if rapid.Bool().Draw(t, "with force") {
			opts.Force = new(rapid.Bool().Draw(t, "force"))
		}
		var asked url.Values
		transport := roundTrip(func(r *http.Request) (*http.Response, error) {
			asked = r.URL.Query()
			w := httptest.NewRecorder()
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.WriteString(`{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"a"}}`)
			return w.Result(), nil
		})
		client, err := newClientFor(&rest.Config{Host: "http://fake"}, &http.Client{Transport: transport})
		require.NoError(t, err)
		_, err = client.Patch(t.Context(), secrets(), "ns", "a", types.MergePatchType, nil, opts)
		require.NoError(t, err)
		want, err := metav1.ParameterCodec.EncodeParameters(&opts, metav1.Unversioned)
		require.NoError(t, err)
		assert.Equal(t, want, asked)
	})
}

func TestSameIsEqualityOfWhatIsStored(t *testing.T) {
	t.Parallel()
	full := func() *metav1.ObjectMeta {
		return &metav1.ObjectMeta{
			Name: "a", Namespace: "ns", UID: "u", ResourceVersion: "5", Generation: 2,
			CreationTimestamp: metav1.NewTime(time.Unix(7, 0)), Labels: map[string]string{"a": "b", "c": "d", "e": "f"},
			Annotations: map[string]string{"g": "h"}, Finalizers: []string{"i"},
			OwnerReferences: []metav1.OwnerReference{{Name: "o", UID: "p"}},
			ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: "m", FieldsV1: metav1.NewFieldsV1(`{"f:data":{}}`)}},
		}
	}
	for name, change := range map[string]func(*metav1.ObjectMeta){
		"nothing":                       func(*metav1.ObjectMeta) {},
		"the zone of a time":            func(o *metav1.ObjectMeta) { o.CreationTimestamp.Time = o.CreationTimestamp.UTC() },
		"a time":                        func(o *metav1.ObjectMeta) { o.CreationTimestamp = metav1.NewTime(time.Unix(8, 0)) },
		"no annotations for none":       func(o *metav1.ObjectMeta) { o.Annotations = nil },
		"a label":                       func(o *metav1.ObjectMeta) { o.Labels["c"] = "x" },
		"a label more":                  func(o *metav1.ObjectMeta) { o.Labels["x"] = "x" },
		"a finalizer less":              func(o *metav1.ObjectMeta) { o.Finalizers = nil },
		"an owner":                      func(o *metav1.ObjectMeta) { o.OwnerReferences[0].UID = "q" },
		"a manager":                     func(o *metav1.ObjectMeta) { o.ManagedFields[0].Manager = "n" },
		"the time of a manager":         func(o *metav1.ObjectMeta) { o.ManagedFields[0].Time = new(metav1.NewTime(time.Unix(9, 0))) },
		"a manager's fields":            func(o *metav1.ObjectMeta) { o.ManagedFields[0].FieldsV1.SetRawString(`{}`) },
		"no managedFields":              func(o *metav1.ObjectMeta) { o.ManagedFields = nil },
		"a grace period, though of 0 s": func(o *metav1.ObjectMeta) { o.DeletionGracePeriodSeconds = new(int64) },
		"the name it was made from":     func(o *metav1.ObjectMeta) { o.GenerateName = "a-" },
		"the deletion":                  func(o *metav1.ObjectMeta) { o.DeletionTimestamp = new(metav1.NewTime(time.Unix(9, 0))) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := full()
			change(changed)
			assert.Equal(t, equality.Semantic.DeepEqual(full(), changed), same(full(), changed))
		})
	}
}

func BenchmarkSame(b *testing.B) {
	o := &metav1.ObjectMeta{Name: "a", ManagedFields: []metav1.ManagedFieldsEntry{{FieldsV1: metav1.NewFieldsV1(strings.Repeat("f", 300))}}}
	b.Run("marshalled", func(b *testing.B) {
		for b.Loop() {
			same(o, o)
		}
	})
	b.Run("by reflection", func(b *testing.B) {
		for b.Loop() {
			equality.Semantic.DeepEqual(o, o.DeepCopy())
		}
	})
}
