// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// noop is the body of a write that changes nothing. Apply carries all fields, a merge patch the preconditions alone.
type noop struct {
	APIVersion string   `json:"apiVersion,omitempty"`
	Kind       string   `json:"kind,omitempty"`
	Metadata   identity `json:"metadata"`
}

type identity struct {
	Name            string    `json:"name,omitempty"`
	Namespace       string    `json:"namespace,omitempty"`
	UID             types.UID `json:"uid"`
	ResourceVersion string    `json:"resourceVersion"`
}

// bodyOf is the no-op of the given kind for an object. A strategic merge patch says what a merge patch does.
func bodyOf(r Resource, o *metav1.PartialObjectMetadata, pt types.PatchType) ([]byte, error) {
	body := noop{Metadata: identity{UID: o.UID, ResourceVersion: o.ResourceVersion}}
	if pt == types.ApplyPatchType {
		body.APIVersion, body.Kind = r.GVR.GroupVersion().String(), r.Kind
		body.Metadata.Name, body.Metadata.Namespace = o.Name, o.Namespace
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", pt, err)
	}
	return raw, nil
}

// migrate makes the server store one object again, if it is stale. Each attempt waits for admit, whose error is
// returned as it is. Every error ends the run.
func (e *engine) migrate(ctx context.Context, o *metav1.PartialObjectMetadata, admit func() error) (outcome, error) {
	if deletedByAnyWrite(o) {
		return outcome{answer: answerFailed, failure: Failure{
			Namespace: o.Namespace, Name: o.Name, Reason: ReasonBeingDeleted,
			Message: "its deletion waits for nothing, and any write would complete it",
		}}, nil
	}
	var got *metav1.PartialObjectMetadata
	pt := kindOf(o, e.opts.PatchType)
	write := func(ctx context.Context) error {
		return e.pace.write(func() (err error) {
			got, err = e.patch(ctx, o, pt)
			return err
		})
	}
	steered := func(err error) course {
		c := steer(err, e.resource, o.Name)
		switch {
		case c == courseOtherPatch && pt != types.MergePatchType:
			pt = types.MergePatchType
			return courseAgain
		case c == courseOtherPatch:
			return courseRetryFew
		case c == courseRetryFew && e.broken.has(err):
			return courseFail
		default:
			return c
		}
	}
	c, err := attempts{limit: e.opts.ObjectTimeout, admit: admit, do: write, steer: steered}.try(ctx)
	return e.conclude(ctx, o, got, c, err)
}

// conclude makes an outcome of how the attempts ended.
func (e *engine) conclude(
	ctx context.Context, o, got *metav1.PartialObjectMetadata, c course, err error,
) (outcome, error) {
	switch c {
	case courseDone:
		return receipt(o, got), nil
	case courseGone:
		return outcome{answer: answerGone}, nil
	case courseConflict:
		return outcome{answer: answerConflict}, nil
	case courseStop:
		if ctx.Err() != nil {
			return outcome{}, ctx.Err()
		}
		return outcome{}, ErrNoSpace
	case courseBarred:
		return outcome{}, err
	case courseRetry:
		if e.unavailable(ctx) {
			return outcome{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	case courseFail, courseRetryFew, courseOtherPatch, courseAgain:
		e.broken.add(err)
	}
	return outcome{answer: answerFailed, failure: failureOf(o, err)}, nil
}

func (e *engine) patch(
	ctx context.Context, o *metav1.PartialObjectMetadata, pt types.PatchType,
) (*metav1.PartialObjectMetadata, error) {
	body, err := bodyOf(e.resource, o, pt)
	if err != nil {
		return nil, err
	}
	opts := metav1.PatchOptions{FieldManager: project.FieldManager}
	if pt == types.ApplyPatchType {
		opts.Force = new(bool)
	}
	return e.client.Patch(ctx, e.resource, o.Namespace, o.Name, pt, body, opts)
}

// receipt reads the answer to a write that went through.
func receipt(listed, got *metav1.PartialObjectMetadata) outcome {
	out := outcome{answer: answerMigrated}
	if got.ResourceVersion == listed.ResourceVersion {
		out.answer = answerUnchanged
	}
	before, after := listed.ObjectMeta, got.ObjectMeta
	before.ResourceVersion, after.ResourceVersion = "", ""
	out.altered = !same(&before, &after)
	return out
}

// same compares what is stored of metadata, in a quarter of the time that it takes by reflection.
func same(a, b *metav1.ObjectMeta) bool {
	first, err := a.Marshal()
	if err != nil {
		return false
	}
	second, err := b.Marshal()
	return err == nil && bytes.Equal(first, second)
}

// deletedByAnyWrite is the server's own rule for completing a deletion on an update: apiserver@v0.37.2
// pkg/registry/generic/registry/store.go, ShouldDeleteDuringUpdate.
func deletedByAnyWrite(o *metav1.PartialObjectMetadata) bool {
	grace := o.DeletionGracePeriodSeconds
	return o.DeletionTimestamp != nil && len(o.Finalizers) == 0 && (grace == nil || *grace == 0)
}

// probeTimeout is how long a server may take to show that it is there.
const probeTimeout = 10 * time.Second

// unavailable finds out whether an object that got no answer is to blame, or the server.
func (e *engine) unavailable(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	_, err := e.client.List(ctx, e.resource, "", metav1.ListOptions{Limit: 1})
	return err != nil && steerList(err) == courseRetry
}
