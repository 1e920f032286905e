// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// MetadataClient is a Client that does for each call what the metadata client of client-go does, in one request: no
// rate limit, no repetition. A delay that the server asks for is in the error.
type MetadataClient struct {
	rest rest.Interface
}

var _ Client = (*MetadataClient)(nil)

// NewClientForConfig returns a Client for the cluster of a rest.Config. It switches client-go's own rate limit off,
// which would hold a migration to 5 objects a second: the server protects itself, and Options.MaxRate is there to
// go slower.
func NewClientForConfig(config *rest.Config) (*MetadataClient, error) {
	client, err := rest.HTTPClientFor(metadata.ConfigFor(config))
	if err != nil {
		return nil, fmt.Errorf("make metadata client: %w", err)
	}
	return newClientFor(config, client)
}

// newClientFor is NewClientForConfig with a client of its own for HTTP.
func newClientFor(config *rest.Config, client *http.Client) (*MetadataClient, error) {
	config = metadata.ConfigFor(config)
	config.QPS, config.RateLimiter = -1, nil
	// Both must be there, and neither is used: each request has its whole path.
	config.GroupVersion, config.APIPath = &schema.GroupVersion{}, "/unused"
	c, err := rest.RESTClientForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("make metadata client: %w", err)
	}
	return &MetadataClient{rest: c}, nil
}

// The kinds that are asked for: metadata in place of the objects.
const (
	kindObject = "PartialObjectMetadata"
	kindList   = "PartialObjectMetadataList"
)

// List implements Client.
func (c *MetadataClient) List(
	ctx context.Context, r Resource, namespace string, opts metav1.ListOptions,
) (*metav1.PartialObjectMetadataList, error) {
	req := once(c.rest.Get(), r, namespace, "", kindList).
		SpecificallyVersionedParams(&opts, metav1.ParameterCodec, metav1.Unversioned)
	return decode[metav1.PartialObjectMetadataList](req.Do(ctx))
}

// Patch implements Client.
func (c *MetadataClient) Patch(
	ctx context.Context, r Resource, namespace, name string, pt types.PatchType, body []byte, opts metav1.PatchOptions,
) (*metav1.PartialObjectMetadata, error) {
	if name == "" {
		return nil, errors.New("patch of an object without a name")
	}
	req := withOptions(once(c.rest.Patch(pt).Body(body), r, namespace, name, kindObject), opts)
	got, err := decode[metav1.PartialObjectMetadata](req.Do(ctx))
	if err == nil && got.Name == "" {
		return nil, errors.New("the answer has no name")
	}
	return got, err
}

// once makes of a request one that is not repeated, and that is answered with the given kind.
func once(req *rest.Request, r Resource, namespace, name, kind string) *rest.Request {
	path := []string{"apis", r.GVR.Group, r.GVR.Version}
	if r.GVR.Group == "" {
		path = []string{"api", r.GVR.Version}
	}
	if namespace != "" {
		path = append(path, "namespaces", namespace)
	}
	path = append(path, r.GVR.Resource)
	if name != "" {
		path = append(path, name)
	}
	as := ";as=" + kind + ";g=meta.k8s.io;v=v1,"
	return req.MaxRetries(0).AbsPath(path...).
		SetHeader("Accept", "application/vnd.kubernetes.protobuf"+as+"application/json"+as+"application/json")
}

// withOptions says what the codec of parameters would say. That goes over the fields by reflection, for every patch anew.
func withOptions(req *rest.Request, opts metav1.PatchOptions) *rest.Request {
	for _, stage := range opts.DryRun {
		req.Param("dryRun", stage)
	}
	if opts.Force != nil {
		req.Param("force", strconv.FormatBool(*opts.Force))
	}
	for name, value := range map[string]string{"fieldManager": opts.FieldManager, "fieldValidation": opts.FieldValidation} {
		if value != "" {
			req.Param(name, value)
		}
	}
	return req
}

// decode reads an answer of the kind that was asked for. A server that does not know that kind answers with whole
// objects in JSON, of which the metadata is read.
func decode[T any](result rest.Result) (*T, error) {
	obj, err := result.Get()
	if runtime.IsNotRegisteredError(err) {
		return decodeWhole[T](result)
	}
	if err != nil {
		return nil, err
	}
	got, ok := any(obj).(*T)
	if !ok {
		return nil, fmt.Errorf("the answer is a %T", obj)
	}
	return got, nil
}

func decodeWhole[T any](result rest.Result) (*T, error) {
	raw, err := result.Raw()
	if err != nil {
		return nil, err
	}
	got := new(T)
	if err := json.Unmarshal(raw, got); err != nil {
		return nil, errors.New("the answer is no object") // An error of the decoder may quote the object.
	}
	return got, nil
}
