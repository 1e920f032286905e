// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// errVanished: the server no longer serves the resource.
var errVanished = errors.New("the resource is not served")

// maxExpired is how often in a row a list may expire. The token for going on is valid whenever it is used, so a
// second time is strange already.
const maxExpired = 3

// eachPage lists the resource, consistently at first and after an expiry from where the list was.
func (e *engine) eachPage(ctx context.Context, visit func(*metav1.PartialObjectMetadataList) error) error {
	opts := metav1.ListOptions{Limit: e.opts.PageSize}
	for expired := 0; ; {
		page, err := e.page(ctx, "", opts)
		if token := tokenAfterExpiry(err); token != "" && expired < maxExpired {
			opts.Continue = token
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
		if err := visit(page); err != nil {
			return err
		}
		if page.Continue == "" {
			return nil
		}
		opts.Continue = page.Continue
		expired = 0
	}
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

// tokenAfterExpiry is the token by which a list that etcd has compacted away goes on at a later state. It is empty
// for every other error. See apiserver@v0.37.2 pkg/storage/etcd3/errors.go.
func tokenAfterExpiry(err error) string {
	var s apierrors.APIStatus
	if !apierrors.IsResourceExpired(err) || !errors.As(err, &s) {
		return ""
	}
	return s.Status().Continue
}
