// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// goneWait bounds the question who has left: whoever asks it waits for something else.
const goneWait = 10 * time.Second

// Gone are the nodes of the control plane that have left since it was looked at: they have no Node object that belongs to it. It is
// an error if that is not known within ten seconds.
func (cp *ControlPlane) Gone(ctx context.Context, client kubernetes.Interface) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, goneWait)
	defer cancel()
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: controlPlaneLabel})
	if err != nil {
		return nil, fmt.Errorf("list control-plane nodes: %w", err)
	}
	return slices.DeleteFunc(cp.Names(), func(name string) bool {
		return slices.ContainsFunc(nodes.Items, func(n corev1.Node) bool { return n.Name == name })
	}), nil
}
