// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// errVanished: the server no longer serves the resource.
var errVanished = errors.New("the resource is not served")

// maxExpired is how often a list may expire without having come any further in between. The token for going on is valid whenever
// it is used, so a second time is strange already; a list that begins anew has the whole of an interval of compaction, and does
// nothing but list until it is where it was.
const maxExpired = 3

// eachPage lists the resource, consistently at first and after an expiry from where the list was: by the token that the
// server gives for that, else by listing anew and passing over what was visited (rule 3). Only that an object is behind the ones
// before it, which pages come in the order of, tells what was.
func (e *engine) eachPage(ctx context.Context, visit func(*metav1.PartialObjectMetadataList) error) error {
	opts := metav1.ListOptions{Limit: e.opts.PageSize}
	var last reached
	for expired := 0; ; {
		page, err := e.page(ctx, "", opts)
		if token, again := afterExpiry(err); again && expired < maxExpired && (token != "" || !last.unordered) {
			if opts.Continue = token; token == "" {
				last.upTo = last.name
			}
			expired++
			continue
		}
		if err != nil {
			return err
		}
		if opts.Continue == "" {
			if err := e.begin(page); err != nil {
				return err
			}
		}
		if fresh := last.pass(page); fresh {
			expired = 0
			if err := visit(page); err != nil {
				return err
			}
		}
		if page.Continue == "" {
			return nil
		}
		opts.Continue = page.Continue
	}
}

// reached is how far a list has come.
type reached struct {
	// name of the last object that was visited, "namespace/name": etcd's order is that of these bytes.
	name string
	// upTo is how far an earlier list had come, if it had to begin anew. What is not behind that was visited.
	upTo string
	// unordered is that an object came behind one that it should stand before.
	unordered bool
}

// pass takes from a page what was visited before, and tells whether there is anything else to visit.
func (r *reached) pass(page *metav1.PartialObjectMetadataList) (fresh bool) {
	listed := len(page.Items)
	page.Items = slices.DeleteFunc(page.Items, func(o metav1.PartialObjectMetadata) bool { return nameOf(&o) <= r.upTo })
	for i := range page.Items {
		name := nameOf(&page.Items[i])
		r.unordered = r.unordered || name <= r.name
		r.name = name
	}
	return len(page.Items) > 0 || listed == 0
}

// nameOf is an object's place in the order of etcd's keys (k8s.io/apiserver@v0.37.2 pkg/registry/generic/registry/store.go,
// NamespaceKeyFunc).
func nameOf(o *metav1.PartialObjectMetadata) string {
	if o.Namespace == "" {
		return o.Name
	}
	return o.Namespace + "/" + o.Name
}

// begin holds the first page of a list against the baseline. A run without a baseline takes it from there.
func (e *engine) begin(page *metav1.PartialObjectMetadataList) error {
	if e.baseline == "" {
		e.baseline = page.ResourceVersion
	}
	// A baseline that is no number is refused here, whether or not there are objects.
	order, err := resourceversion.CompareResourceVersion(page.ResourceVersion, e.baseline)
	if err != nil {
		return fmt.Errorf("compare list of %s with baseline: %w", e.resource, err)
	}
	if order < 0 {
		return fmt.Errorf("list %s at %s, baseline %s: %w", e.resource, page.ResourceVersion, e.baseline, ErrWentBack)
	}
	return nil
}

// current tells that an object was written after the baseline.
func (e *engine) current(o *metav1.PartialObjectMetadata) (bool, error) {
	order, err := resourceversion.CompareResourceVersion(o.ResourceVersion, e.baseline)
	if err != nil {
		return false, fmt.Errorf("compare %s %q with baseline: %w", e.resource, o.Namespace+"/"+o.Name, err)
	}
	return order > 0, nil
}

// page lists one page, of a namespace or of all, and outlasts a server that is away for a while.
func (e *engine) page(
	ctx context.Context, namespace string, opts metav1.ListOptions,
) (*metav1.PartialObjectMetadataList, error) {
	var page *metav1.PartialObjectMetadataList
	list := func(ctx context.Context) (err error) {
		page, err = e.client.List(ctx, e.resource, namespace, opts)
		return err
	}
	c, err := attempts{limit: e.opts.ObjectTimeout, do: list, steer: steerList}.try(ctx)
	switch {
	case c == courseDone:
		return page, nil
	case c == courseStop:
		return nil, err
	case c == courseRetry:
		return nil, fmt.Errorf("list %s: %w: %w", e.resource, ErrUnavailable, err)
	case apierrors.IsNotFound(err):
		return nil, errVanished
	default:
		return nil, fmt.Errorf("list %s: %w", e.resource, err)
	}
}

// afterExpiry tells whether a list was compacted away, and the token by which it goes on at a later state, if the server gives
// one. etcd's own answer has one (apiserver@v0.37.2 pkg/storage/etcd3/errors.go), that of a watch cache has none
// (pkg/storage/cacher/store/watch_cache_storage.go there).
func afterExpiry(err error) (token string, expired bool) {
	if !apierrors.IsResourceExpired(err) {
		return "", false
	}
	var s apierrors.APIStatus
	if errors.As(err, &s) {
		token = s.Status().Continue
	}
	return token, true
}
