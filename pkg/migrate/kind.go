// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// smallObject is the size in bytes up to which a strategic merge patch is worth while. At 1 KiB it is a sixth faster than an
	// apply, at 16 KiB they do not differ, and at 256 KiB it is a tenth slower (test/bench, kinds of no-op).
	smallObject = 8 << 10
	// fewFields is the size in bytes of managedFields up to which an object gets anything else than an apply.
	fewFields = 64 << 10
)

// KindFor is the kind of no-op for the objects of a resource that have so many bytes on average, 0 if that is not known:
// apply, but for small Secrets and ConfigMaps.
//
// Where a value does not fit into etcd any more once it is encrypted anew, kube-apiserver refuses an apply, but drops the
// managedFields to make any other patch fit (apiserver@v0.37.2 pkg/endpoints/handlers/patch.go, isTooLargeError). With these
// two resources that does not come about: validation keeps the values of one object together below 1 MiB
// (k8s.io/kubernetes@v1.37.1 pkg/apis/core/validation/validation.go, MaxSecretSize) and its annotations below 256 KiB, of
// the 1.5 MiB that etcd takes. What is not counted there, the names of the keys, stands in managedFields too, and an object
// with more than fewFields of those gets an apply all the same.
func KindFor(r Resource, meanSize int64) types.PatchType {
	bounded := []schema.GroupResource{{Resource: "secrets"}, {Resource: "configmaps"}}
	if slices.Contains(bounded, r.GVR.GroupResource()) && 0 < meanSize && meanSize <= smallObject {
		return types.StrategicMergePatchType
	}
	return types.ApplyPatchType
}

// kindOf is the kind of no-op for one object of those that get the given kind: merge where an apply would change it, apply
// where a strategic merge patch might.
func kindOf(o *metav1.PartialObjectMetadata, asked types.PatchType) types.PatchType {
	switch asked {
	case types.MergePatchType:
		return asked
	case types.StrategicMergePatchType:
		if sizeOfFields(o) <= fewFields {
			return asked
		}
	}
	if len(o.ManagedFields) == 0 {
		return types.MergePatchType
	}
	return types.ApplyPatchType
}

// sizeOfFields is the size in bytes of an object's managedFields, but for what every entry has.
func sizeOfFields(o *metav1.PartialObjectMetadata) (size int) {
	for i := range o.ManagedFields {
		if f := o.ManagedFields[i].FieldsV1; f != nil {
			size += len(f.GetRawBytes())
		}
	}
	return size
}
