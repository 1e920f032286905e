// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// patch answers a patch in the order in which a kube-apiserver checks and does things.
func (a *fakeAPI) patch(key string, pt types.PatchType, body noop) (*metav1.PartialObjectMetadata, *metav1.Status) {
	o, ok := a.objects[key]
	if !ok {
		return a.patchAbsent(key, pt, body)
	}
	if pt == types.ApplyPatchType && o.undecodable {
		s := statusFor(http.StatusInternalServerError, "", "failed to decode managed fields: unexpected end of JSON input")
		return nil, &s
	}
	if rv := body.Metadata.ResourceVersion; rv != "" && rv != o.meta.ResourceVersion {
		s := statusAbout(http.StatusConflict, metav1.StatusReasonConflict, key, "the object has been modified")
		return nil, &s
	}
	if uid := body.Metadata.UID; uid != "" && uid != o.meta.UID {
		s := statusAbout(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, key, "field is immutable")
		return nil, &s
	}
	changed := a.change(o, pt)
	if deletedByAnyWrite(&metav1.PartialObjectMetadata{ObjectMeta: o.meta}) {
		a.dropped++
		a.remove(key)
		return o.partial(), nil
	}
	if changed || o.stale {
		a.store(o)
	}
	return o.partial(), nil
}

func (a *fakeAPI) patchAbsent(
	key string, pt types.PatchType, body noop,
) (*metav1.PartialObjectMetadata, *metav1.Status) {
	if pt != types.ApplyPatchType {
		s := statusAbout(http.StatusNotFound, metav1.StatusReasonNotFound, key, "not found")
		return nil, &s
	}
	if body.Metadata.UID != "" {
		s := statusAbout(http.StatusConflict, metav1.StatusReasonConflict, key, "uid mismatch: no existing object was found")
		return nil, &s
	}
	a.created++
	return a.create(key, "").partial(), nil
}

// change makes the changes that a no-op may bring with it.
func (a *fakeAPI) change(o *fakeObject, pt types.PatchType) bool {
	changed := false
	if pt == types.ApplyPatchType && len(o.meta.ManagedFields) == 0 {
		o.meta.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "before-first-apply"}}
		changed = true
	}
	if pt != types.ApplyPatchType && o.undecodable {
		o.meta.ManagedFields = nil
		changed = true
	}
	if o.mutated && o.meta.Labels["webhook"] == "" {
		o.meta.Labels = map[string]string{"webhook": "was-here"}
		changed = true
	}
	return changed
}
