// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// setFlags edits the manifest of a node's kube-apiserver and waits until it runs with the flags.
func (c *cluster) setFlags(t *testing.T, n *node, flags ...string) {
	t.Helper()
	kubernetes := filepath.Join(n.root, "etc", "kubernetes")
	manifest := filepath.Join(kubernetes, "manifests", "kube-apiserver.yaml")
	data, err := os.ReadFile(manifest)
	require.NoError(t, err)
	text := string(data)
	const command = "    - kube-apiserver\n"
	require.Contains(t, text, command)
	for _, flag := range flags {
		name, _, _ := strings.Cut(flag, "=")
		text = regexp.MustCompile(`(?m)^ *- `+name+`=.*\n`).ReplaceAllString(text, "")
		text = strings.Replace(text, command, command+"    - "+flag+"\n", 1)
	}
	temp := filepath.Join(kubernetes, "edited.yaml")
	require.NoError(t, os.WriteFile(temp, []byte(text), 0o600))
	require.NoError(t, os.Rename(temp, manifest))
	t.Logf("the kube-apiserver of %s restarts with %s", n.name, flags)
	c.awaitFlags(t, n, flags)
}

// awaitFlags waits until the node's kube-apiserver runs with flags, is ready, and is an endpoint again.
func (c *cluster) awaitFlags(t *testing.T, n *node, flags []string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Second, waitLimit, true, func(ctx context.Context) (bool, error) {
		return n.runsWith(ctx, flags) && c.isEndpoint(ctx, n), nil // it answers nothing while it restarts
	})
	require.NoError(t, err, "the kube-apiserver of %s runs with %s", n.name, flags)
}

func (n *node) runsWith(ctx context.Context, flags []string) bool {
	pod, err := n.client.CoreV1().Pods(systemNamespace).Get(ctx, "kube-apiserver-"+n.name, metav1.GetOptions{})
	return err == nil && ready(pod) && !slices.ContainsFunc(flags, func(flag string) bool {
		return !slices.Contains(pod.Spec.Containers[0].Command, flag)
	})
}

func (c *cluster) isEndpoint(ctx context.Context, n *node) bool {
	slice, err := n.client.DiscoveryV1().EndpointSlices(metav1.NamespaceDefault).Get(ctx, "kubernetes", metav1.GetOptions{})
	return err == nil && len(slice.Endpoints) == len(c.nodes)
}

func ready(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(condition corev1.PodCondition) bool {
		return condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue
	})
}
