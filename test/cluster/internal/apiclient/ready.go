// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package apiclient

import (
	"context"
	"fmt"
	"slices"
)

// condition is how nodes and pods say how they are.
type condition struct {
	Type   string `json:"type"`
	Status string `json:"status"`
}

type objects struct {
	Items []struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
		Status struct {
			Conditions []condition `json:"conditions"`
		} `json:"status"`
	} `json:"items"`
}

type endpointSlice struct {
	Endpoints []struct {
		Addresses []string `json:"addresses"`
	} `json:"endpoints"`
}

// NodesReady returns nil if all these nodes, and the kube-apiserver on each of
// them, are Ready.
func (c *Client) NodesReady(ctx context.Context, names []string) error {
	var nodes, pods objects
	if err := c.Get(ctx, "/api/v1/nodes", &nodes); err != nil {
		return err
	}
	if err := c.Get(ctx, "/api/v1/namespaces/kube-system/pods?labelSelector=component%3Dkube-apiserver", &pods); err != nil {
		return err
	}
	for _, name := range names {
		if !nodes.ready(name) {
			return fmt.Errorf("node %s is not ready", name)
		}
		if pod := "kube-apiserver-" + name; !pods.ready(pod) {
			return fmt.Errorf("pod %s is not ready", pod)
		}
	}
	return nil
}

func (o objects) ready(name string) bool {
	for _, item := range o.Items {
		if item.Metadata.Name == name {
			return slices.Contains(item.Status.Conditions, condition{Type: "Ready", Status: "True"})
		}
	}
	return false
}

// EndpointsListed returns nil if the kubernetes Service leads to each of these
// addresses.
func (c *Client) EndpointsListed(ctx context.Context, addresses []string) error {
	var slice endpointSlice
	if err := c.Get(ctx, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes", &slice); err != nil {
		return err
	}
	var listed []string
	for _, endpoint := range slice.Endpoints {
		listed = append(listed, endpoint.Addresses...)
	}
	for _, address := range addresses {
		if !slices.Contains(listed, address) {
			return fmt.Errorf("the kubernetes Service does not lead to %s yet", address)
		}
	}
	return nil
}
