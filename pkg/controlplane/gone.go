// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Gone are the nodes of the control plane that have left since it was looked at: they have no Node object that belongs to it.
func (cp *ControlPlane) Gone(ctx context.Context, client kubernetes.Interface) ([]string, error) {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: controlPlaneLabel})
	if err != nil {
		return nil, fmt.Errorf("list control-plane nodes: %w", err)
	}
	return slices.DeleteFunc(cp.Names(), func(name string) bool {
		return slices.ContainsFunc(nodes.Items, func(n corev1.Node) bool { return n.Name == name })
	}), nil
}
