// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

const (
	apply     = types.ApplyPatchType
	strategic = types.StrategicMergePatchType
	merge     = types.MergePatchType
)

func TestKindFor(t *testing.T) {
	t.Parallel()
	of := func(group, name string) Resource {
		return Resource{GVR: schema.GroupVersionResource{Group: group, Version: "v1", Resource: name}}
	}
	for name, tt := range map[string]struct {
		resource Resource
		size     int64
		want     types.PatchType
	}{
		"small Secrets => strategic":                           {of("", "secrets"), 1 << 10, strategic},
		"small ConfigMaps => strategic":                        {of("", "configmaps"), smallObject, strategic},
		"larger ones => apply":                                 {of("", "configmaps"), smallObject + 1, apply},
		"Secrets of unknown size => apply":                     {of("", "secrets"), 0, apply},
		"what validation does not keep small => apply":         {of("apps", "deployments"), 1 << 10, apply},
		"a custom resource of the same name => apply":          {of("example.com", "secrets"), 1 << 10, apply},
		"a size that was told as unknown by a server => apply": {of("", "secrets"), -1, apply},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, KindFor(tt.resource, tt.size))
		})
	}
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	with := func(change func(*metav1.PartialObjectMetadata)) *metav1.PartialObjectMetadata {
		o := &metav1.PartialObjectMetadata{}
		o.ManagedFields = []metav1.ManagedFieldsEntry{{FieldsV1: metav1.NewFieldsV1("{}")}, {}}
		change(o)
		return o
	}
	long := strings.Repeat("x", littleMetadata)
	ordinary := with(func(*metav1.PartialObjectMetadata) {})
	without := &metav1.PartialObjectMetadata{}
	for name, tt := range map[string]struct {
		object *metav1.PartialObjectMetadata
		asked  types.PatchType
		want   types.PatchType
	}{
		"apply":                                 {ordinary, apply, apply},
		"nothing asked for => apply":            {ordinary, "", apply},
		"apply, without managedFields => merge": {without, apply, merge},
		"strategic":                             {ordinary, strategic, strategic},
		"strategic, without managedFields":      {without, strategic, strategic},
		"strategic, with large managedFields => apply": {with(func(o *metav1.PartialObjectMetadata) {
			o.ManagedFields[0].FieldsV1 = metav1.NewFieldsV1(long)
		}), strategic, apply},
		"strategic, with large labels => apply": {with(func(o *metav1.PartialObjectMetadata) {
			o.Labels = map[string]string{"a": long}
		}), strategic, apply},
		"strategic, with owners of long names => apply": {with(func(o *metav1.PartialObjectMetadata) {
			o.OwnerReferences = []metav1.OwnerReference{{Name: long}}
		}), strategic, apply},
		"strategic, with so many managers that some would be added up => apply": {with(func(o *metav1.PartialObjectMetadata) {
			o.ManagedFields = make([]metav1.ManagedFieldsEntry, fewManagers+1)
		}), strategic, apply},
		"strategic, with large metadata without managers => merge": {&metav1.PartialObjectMetadata{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": long}},
		}, strategic, merge},
		"merge": {ordinary, merge, merge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, kindOf(tt.object, tt.asked))
		})
	}
}
