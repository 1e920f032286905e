// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// Resource is a resource as the API serves it.
type Resource struct {
	GVR schema.GroupVersionResource
	// Kind of its objects, such as Secret.
	Kind string
	// Namespaced tells that its objects live in namespaces.
	Namespaced bool
}

// String is the resource's name, such as secrets or deployments.apps.
func (r Resource) String() string { return r.GVR.GroupResource().String() }

// Client is what a migration needs of the API. Both methods answer with metadata only.
type Client interface {
	// List lists a page of the objects of all namespaces.
	List(ctx context.Context, r Resource, opts metav1.ListOptions) (*metav1.PartialObjectMetadataList, error)
	// Patch patches one object. The namespace is empty for a resource without namespaces.
	Patch(ctx context.Context, r Resource, namespace, name string, pt types.PatchType, body []byte,
		opts metav1.PatchOptions) (*metav1.PartialObjectMetadata, error)
}

// MetadataClient is a Client on the metadata client of client-go.
type MetadataClient struct {
	metadata metadata.Interface
}

var _ Client = (*MetadataClient)(nil)

// NewMetadataClient returns a Client that uses the given metadata client as it is.
func NewMetadataClient(client metadata.Interface) *MetadataClient {
	return &MetadataClient{metadata: client}
}

// NewClientForConfig returns a Client for the cluster of a rest.Config. It switches client-go's own rate limit off,
// which would hold a migration to 5 objects a second: the server protects itself, and Options.MaxRate is there to
// go slower.
func NewClientForConfig(config *rest.Config) (*MetadataClient, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	config.RateLimiter = nil
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make metadata client: %w", err)
	}
	return NewMetadataClient(client), nil
}

// List implements Client.
func (c *MetadataClient) List(
	ctx context.Context, r Resource, opts metav1.ListOptions,
) (*metav1.PartialObjectMetadataList, error) {
	return c.metadata.Resource(r.GVR).List(ctx, opts)
}

// Patch implements Client.
func (c *MetadataClient) Patch(
	ctx context.Context, r Resource, namespace, name string, pt types.PatchType, body []byte, opts metav1.PatchOptions,
) (*metav1.PartialObjectMetadata, error) {
	return c.metadata.Resource(r.GVR).Namespace(namespace).Patch(ctx, name, pt, body, opts)
}
