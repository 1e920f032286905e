// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// fakeObject is an object as etcd has it.
type fakeObject struct {
	meta metav1.ObjectMeta
	data string
	// stale: stored with an old key. Only a write changes that.
	stale bool
	// undecodable: its managedFields can't be decoded, so an apply fails.
	undecodable bool
	// mutated: a mutating webhook changes its labels on every write.
	mutated bool
}

// fakeAPI is a kube-apiserver with one resource, secrets, as far as a migration can tell: preconditions, pages,
// expiry, and writes that are stored only if they change something or if what is stored is stale.
type fakeAPI struct {
	mu      sync.Mutex
	rv      int64
	uids    int
	objects map[string]*fakeObject
	// snapshots are the states that continue tokens refer to, by resourceVersion.
	snapshots map[string][]metav1.PartialObjectMetadata
	// requests seen so far.
	requests []fakeRequest
	// before is called with the lock held before a request is answered. It may change objects, and answer instead.
	before func(fakeRequest) *fakeFault
	// absent: the resource is not served.
	absent bool
	// created and dropped count what a migration must never do.
	created, dropped int
	// violations are requests that no server should get from a migration.
	violations []string
}

// fakeRequest is a request to a fakeAPI, numbered from 1.
type fakeRequest struct {
	number    int
	verb      string
	key       string
	namespace string
	patchType types.PatchType
	token     string
}

// fakeFault is an answer that is not the server's usual one.
type fakeFault struct {
	status     metav1.Status
	retryAfter string
	// lost: the request is carried out, and the connection breaks before the answer.
	lost bool
}

func newFakeAPI() *fakeAPI {
	return &fakeAPI{
		rv: 1000, objects: map[string]*fakeObject{}, snapshots: map[string][]metav1.PartialObjectMetadata{},
	}
}

// create adds an object, stored by a server that has the write key. The caller may make it stale.
func (a *fakeAPI) create(key, data string) *fakeObject {
	namespace, name, _ := strings.Cut(key, "/")
	a.uids++
	o := &fakeObject{data: data, meta: metav1.ObjectMeta{
		Namespace: namespace, Name: name, UID: types.UID("uid-" + strconv.Itoa(a.uids)),
		ManagedFields: []metav1.ManagedFieldsEntry{{
			Manager: "kubectl", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1",
			FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:data":{".":{},"f:a":{}}}`),
		}},
	}}
	a.objects[key] = o
	a.store(o)
	return o
}

// createStale adds an object that was stored before the write key.
func (a *fakeAPI) createStale(key string) *fakeObject {
	o := a.create(key, "data of "+key)
	o.stale = true
	return o
}

// store writes an object with the write key.
func (a *fakeAPI) store(o *fakeObject) {
	a.rv++
	o.meta.ResourceVersion = strconv.FormatInt(a.rv, 10)
	o.stale = false
}

func (a *fakeAPI) remove(key string) {
	if _, ok := a.objects[key]; ok {
		a.rv++
		delete(a.objects, key)
	}
}

// compact forgets the states that lists refer to.
func (a *fakeAPI) compact() { clear(a.snapshots) }

func (a *fakeAPI) staleKeys() []string {
	var keys []string
	for key, o := range a.objects {
		if o.stale {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// list answers a page. A token is "RV:KEY", the last key listed; RV is -1 in a token that an expiry has given out.
func (a *fakeAPI) list(namespace string, limit int, token string) (*metav1.PartialObjectMetadataList, *metav1.Status) {
	rv, after, _ := strings.Cut(token, ":")
	if token == "" || rv == "-1" {
		rv = strconv.FormatInt(a.rv, 10)
		a.snapshots[rv] = a.snapshot()
	}
	state, ok := a.snapshots[rv]
	if !ok {
		s := statusFor(http.StatusGone, metav1.StatusReasonExpired, "The provided continue parameter is too old")
		s.Continue = "-1:" + after
		return nil, &s
	}
	if namespace != "" {
		state = slices.DeleteFunc(slices.Clone(state), func(o metav1.PartialObjectMetadata) bool { return o.Namespace != namespace })
	}
	from, _ := slices.BinarySearchFunc(state, after, func(o metav1.PartialObjectMetadata, after string) int {
		if keyOf(o.ObjectMeta) <= after {
			return -1
		}
		return 1
	})
	page := &metav1.PartialObjectMetadataList{Items: state[from:]}
	page.ResourceVersion = rv
	if limit > 0 && len(page.Items) > limit {
		left := int64(len(page.Items) - limit)
		page.Items = page.Items[:limit]
		page.RemainingItemCount = &left
		page.Continue = rv + ":" + keyOf(page.Items[limit-1].ObjectMeta)
	}
	return page, nil
}

func (a *fakeAPI) snapshot() []metav1.PartialObjectMetadata {
	state := make([]metav1.PartialObjectMetadata, 0, len(a.objects))
	for _, o := range a.objects {
		state = append(state, *o.partial())
	}
	slices.SortFunc(state, func(x, y metav1.PartialObjectMetadata) int {
		return strings.Compare(keyOf(x.ObjectMeta), keyOf(y.ObjectMeta))
	})
	return state
}

func (o *fakeObject) partial() *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: *o.meta.DeepCopy()}
}

func keyOf(m metav1.ObjectMeta) string { return m.Namespace + "/" + m.Name }

func statusFor(code int32, reason metav1.StatusReason, message string) metav1.Status {
	return metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Code: code, Reason: reason, Message: message,
	}
}

// statusAbout is a status about one object.
func statusAbout(code int32, reason metav1.StatusReason, key, message string) metav1.Status {
	_, name, _ := strings.Cut(key, "/")
	s := statusFor(code, reason, fmt.Sprintf("secrets %q: %s", name, message))
	s.Details = &metav1.StatusDetails{Kind: "secrets", Name: name}
	return s
}
