// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"encoding/json"
	"fmt"
)

// AggregatedGroups are the API groups that are served by other servers than kube-apiserver and stored elsewhere:
// kube-apiserver's encryption does not reach them.
func (c *Cluster) AggregatedGroups(ctx context.Context) (map[string]bool, error) {
	data, err := c.Typed.Discovery().RESTClient().Get().AbsPath("/apis/apiregistration.k8s.io/v1/apiservices").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("list APIServices: %w", err)
	}
	var list struct {
		Items []struct {
			Spec struct {
				Group   string          `json:"group"`
				Service json.RawMessage `json:"service"`
			} `json:"spec"`
		} `json:"items"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("read APIServices: %w", err)
	}
	groups := map[string]bool{}
	for _, item := range list.Items {
		if len(item.Spec.Service) > 0 && string(item.Spec.Service) != "null" {
			groups[item.Spec.Group] = true
		}
	}
	return groups, nil
}
