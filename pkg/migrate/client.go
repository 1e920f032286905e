// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
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

// Client is what a migration needs of the API. Both methods answer with metadata only. A call is to be one request, so
// that the engine decides on each: when it may be made, by which instance, and what its outcome says about the load.
type Client interface {
	// List lists a page of the objects of a namespace, of all if it is empty.
	List(ctx context.Context, r Resource, namespace string, opts metav1.ListOptions) (*metav1.PartialObjectMetadataList, error)
	// Patch patches one object. The namespace is empty for a resource without namespaces.
	Patch(ctx context.Context, r Resource, namespace, name string, pt types.PatchType, body []byte,
		opts metav1.PatchOptions) (*metav1.PartialObjectMetadata, error)
}

// readClient is a Client on the metadata client of client-go.
type readClient struct {
	metadata metadata.Interface
}

var _ Client = readClient{}

// NewMetadataClient returns a Client that uses the given metadata client as it is. It is meant for counts and
// baselines. A migration wants that of NewClientForConfig: this one repeats a request by itself, up to ten times,
// where the server asks for a delay (client-go@v0.37.2 rest/with_retry.go), without the engine's knowing.
func NewMetadataClient(client metadata.Interface) Client { return readClient{metadata: client} }

// List implements Client.
func (c readClient) List(
	ctx context.Context, r Resource, namespace string, opts metav1.ListOptions,
) (*metav1.PartialObjectMetadataList, error) {
	return c.metadata.Resource(r.GVR).Namespace(namespace).List(ctx, opts)
}

// Patch implements Client.
func (c readClient) Patch(
	ctx context.Context, r Resource, namespace, name string, pt types.PatchType, body []byte, opts metav1.PatchOptions,
) (*metav1.PartialObjectMetadata, error) {
	return c.metadata.Resource(r.GVR).Namespace(namespace).Patch(ctx, name, pt, body, opts)
}
