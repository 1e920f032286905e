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
	with := func(bytes int) *metav1.PartialObjectMetadata {
		o := &metav1.PartialObjectMetadata{}
		o.ManagedFields = []metav1.ManagedFieldsEntry{{FieldsV1: metav1.NewFieldsV1(strings.Repeat("f", bytes))}, {}}
		return o
	}
	without := &metav1.PartialObjectMetadata{}
	for name, tt := range map[string]struct {
		object *metav1.PartialObjectMetadata
		asked  types.PatchType
		want   types.PatchType
	}{
		"apply":                                       {with(9), apply, apply},
		"nothing asked for => apply":                  {with(9), "", apply},
		"apply, without managedFields => merge":       {without, apply, merge},
		"strategic":                                   {with(fewFields), strategic, strategic},
		"strategic, without managedFields":            {without, strategic, strategic},
		"strategic, with many managedFields => apply": {with(fewFields + 1), strategic, apply},
		"merge": {with(fewFields + 1), merge, merge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, kindOf(tt.object, tt.asked))
		})
	}
}
