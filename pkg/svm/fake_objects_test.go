// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package svm

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

var secrets = migrate.Resource{
	GVR: schema.GroupVersionResource{Version: "v1", Resource: "secrets"}, Kind: "Secret", Namespaced: true,
}

// store is a kube-apiserver's objects, stored again by a no-op if they are stale.
type store struct {
	mu      sync.Mutex
	version int64
	objects map[string]*stored
	// delay of each write.
	delay time.Duration
	// dryRuns and writes that came by the own engine, and those of the controller.
	dryRuns, writes, controllers int
}

type stored struct {
	version int64
	stale   bool
	// refusal of every write, nil for none.
	refusal error
	// passing: a dry run does not meet the refusal any more.
	passing bool
}

var _ migrate.Client = (*store)(nil)

// staleObjects is a store of objects that were all stored with the former key.
func staleObjects(count int) *store {
	s := &store{objects: map[string]*stored{}, version: 100}
	for i := range count {
		s.version++
		s.objects[fmt.Sprintf("o-%03d", i)] = &stored{version: s.version, stale: true}
	}
	return s
}

// List implements migrate.Client in one page.
func (s *store) List(_ context.Context, _ migrate.Resource, _ string, opts metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	page := &metav1.PartialObjectMetadataList{ListMeta: metav1.ListMeta{ResourceVersion: strconv.FormatInt(s.version, 10)}}
	for _, name := range s.names() {
		page.Items = append(page.Items, s.metadata(name))
	}
	if opts.Limit == 1 && len(page.Items) > 1 {
		page.Items = page.Items[:1]
	}
	return page, nil
}

func (s *store) names() []string {
	var names []string
	for name := range s.objects {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (s *store) metadata(name string) metav1.PartialObjectMetadata {
	return metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ns", Name: name, UID: types.UID(name), ResourceVersion: strconv.FormatInt(s.objects[name].version, 10),
	}}
}

// Patch implements migrate.Client.
func (s *store) Patch(
	_ context.Context, _ migrate.Resource, _, name string, _ types.PatchType, body []byte, opts metav1.PatchOptions,
) (*metav1.PartialObjectMetadata, error) {
	var sent metav1.PartialObjectMetadata
	if err := json.Unmarshal(body, &sent); err != nil {
		return nil, err
	}
	dry := len(opts.DryRun) > 0
	s.mu.Lock()
	if dry {
		s.dryRuns++
	} else {
		s.writes++
	}
	s.mu.Unlock()
	return s.write(name, sent.ResourceVersion, dry)
}

// write is a no-op write on the condition of a resourceVersion.
func (s *store) write(name, version string, dry bool) (*metav1.PartialObjectMetadata, error) {
	<-time.After(s.delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	o, found := s.objects[name]
	switch {
	case !found:
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
	case strconv.FormatInt(o.version, 10) != version:
		return nil, apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, name, context.Canceled)
	case o.refusal != nil && (!dry || !o.passing):
		return nil, o.refusal
	}
	if o.stale && !dry {
		s.version++
		o.version, o.stale = s.version, false
	}
	got := s.metadata(name)
	return &got, nil
}

// refuse has an object refuse each write.
func (s *store) refuse(name string, err error) *stored {
	s.objects[name].refusal = err
	return s.objects[name]
}

func (s *store) staleNames() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(s.names(), func(name string) bool { return !s.objects[name].stale })
}

// denied is the answer of a webhook that says no with a code of its choice.
func denied(code int32, reason metav1.StatusReason) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: code, Reason: reason,
		Message: `admission webhook "guard.example.com" denied the request: not on my watch`,
	}}
}

// invalid is the answer of a validation that quotes what it refuses.
func invalid(name string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid,
		Message: `Secret "` + name + `" is invalid: data[x]: Invalid value: "hunter2": is no password`,
		Details: &metav1.StatusDetails{Name: name, Kind: "Secret", Causes: []metav1.StatusCause{{
			Type: metav1.CauseTypeFieldValueInvalid, Field: "data[x]", Message: `Invalid value: "hunter2"`,
		}}},
	}}
}

// unanswered is what the server says of a webhook that must answer and does not.
func unanswered() error {
	return apierrors.NewInternalError(fmt.Errorf(`failed calling webhook "guard.example.com": context deadline exceeded`))
}
