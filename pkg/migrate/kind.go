// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// smallObject is the size in bytes up to which a strategic merge patch is worth while. At 1 KiB it is a sixth faster than an
	// apply, at 16 KiB they do not differ, and at 256 KiB it is a tenth slower (test/bench, kinds of no-op).
	smallObject = 8 << 10
	// littleMetadata is the size in bytes of metadata up to which an object may get a strategic merge patch.
	littleMetadata = 64 << 10
	// fewManagers is how many entries of managedFields a write leaves alone. Beyond, any but an apply adds the oldest up
	// (k8s.io/apimachinery@v0.37.2 pkg/util/managedfields/internal/fieldmanager.go, DefaultMaxUpdateManagers).
	fewManagers = 10
)

// KindFor is the kind of no-op for the objects of a resource that have so many bytes on average, 0 if that is not known:
// apply, but for small Secrets and ConfigMaps.
//
// Where a value does not fit into etcd any more once it is encrypted anew, kube-apiserver refuses an apply, but drops the
// managedFields to make any other patch fit (apiserver@v0.37.2 pkg/endpoints/handlers/patch.go, isTooLargeError). That is
// ruled out for these two, with the 1.5 MiB that etcd takes unless somebody lowers its --max-request-bytes: validation keeps
// the values of one object together below 1 MiB (k8s.io/kubernetes@v1.37.1 pkg/apis/core/validation/validation.go,
// MaxSecretSize), the names of its keys stand in managedFields too, and an object with more than littleMetadata, those
// and all else that validation does not limit among it, gets an apply all the same.
func KindFor(r Resource, meanSize int64) types.PatchType {
	if Bounded(r) && 0 < meanSize && meanSize <= smallObject {
		return types.StrategicMergePatchType
	}
	return types.ApplyPatchType
}

// Bounded tells whether the kind of no-op for a resource depends on the size of its objects.
func Bounded(r Resource) bool {
	return r.GVR.Group == "" && (r.GVR.Resource == "secrets" || r.GVR.Resource == "configmaps")
}

// kindOf is the kind of no-op for one object of those that get the given kind: merge where an apply would change it, apply
// where a strategic merge patch might.
func kindOf(o *metav1.PartialObjectMetadata, asked types.PatchType) types.PatchType {
	switch asked {
	case types.MergePatchType:
		return asked
	case types.StrategicMergePatchType:
		if o.ObjectMeta.Size() <= littleMetadata && len(o.ManagedFields) <= fewManagers {
			return asked
		}
	}
	if len(o.ManagedFields) == 0 {
		return types.MergePatchType
	}
	return types.ApplyPatchType
}
