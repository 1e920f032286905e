// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// guardName is that of the static pod that edits a manifest, without its node.
const guardName = ourName + "-guard"

func (n *node) manifestFolder() string {
	return filepath.Join(n.root, "etc", "kubernetes", "manifests")
}

// manifest is that of the node's kube-apiserver.
func (n *node) manifest(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(n.manifestFolder(), "kube-apiserver.yaml"))
	require.NoError(t, err)
	return string(data)
}

// setting is what the cluster says about its kube-apiservers: kubeadm's configuration, and each node's manifest.
type setting struct {
	kubeadm   string
	manifests map[string]string
}

func (c *cluster) setting(t *testing.T) setting {
	t.Helper()
	s := setting{kubeadm: c.kubeadmConfig(t), manifests: map[string]string{}}
	for _, n := range c.nodes {
		s.manifests[n.name] = n.manifest(t)
	}
	return s
}

// awaitEdit waits until the manifest of a node is another one than before, while the plugin is at work.
func (n *node) awaitEdit(t *testing.T, p *process, before string) {
	t.Helper()
	const often = 5 * time.Millisecond
	err := wait.PollUntilContextTimeout(t.Context(), often, waitLimit, true, func(context.Context) (bool, error) {
		select {
		case <-p.ended:
			return false, fmt.Errorf("the plugin has ended: %s", &p.stderr)
		default:
			return n.manifest(t) != before, nil
		}
	})
	require.NoError(t, err, "the manifest of %s is edited", n.name)
}

// awaitManifest waits until a node has a certain manifest.
func (n *node) awaitManifest(t *testing.T, limit time.Duration, manifest string) {
	t.Helper()
	const often = 100 * time.Millisecond
	err := wait.PollUntilContextTimeout(t.Context(), often, limit, true, func(context.Context) (bool, error) {
		return n.manifest(t) == manifest, nil
	})
	require.NoError(t, err, "the manifest of %s is the given one", n.name)
}

// awaitCalm waits until no guard is at work and every kube-apiserver is ready.
func (c *cluster) awaitCalm(t *testing.T) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Second, waitLimit, true, func(ctx context.Context) (bool, error) {
		for _, n := range c.nodes {
			if n.hasGuard(t) || !n.ready(ctx) || !c.isEndpoint(ctx, n) || !n.runsWith(ctx, nil) {
				return false, nil
			}
		}
		return true, nil
	})
	require.NoError(t, err, "the kube-apiservers are ready and no guard is at work")
}

func (n *node) hasGuard(t *testing.T) bool {
	t.Helper()
	_, err := os.Stat(filepath.Join(n.manifestFolder(), guardName+".yaml"))
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	return err == nil
}

// awaitNoGuard requires that the folder of manifests has what kubeadm put there and nothing else, and waits until the
// kubelets have taken the guards' pods out of the API: they do so by themselves when a manifest is gone.
func (c *cluster) awaitNoGuard(t *testing.T) {
	t.Helper()
	for _, n := range c.nodes {
		entries, err := os.ReadDir(n.manifestFolder())
		require.NoError(t, err)
		var names []string
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
		assert.Equal(t, []string{"etcd.yaml", "kube-apiserver.yaml", "kube-controller-manager.yaml", "kube-scheduler.yaml"}, names,
			"manifests of %s", n.name)
	}
	err := wait.PollUntilContextTimeout(t.Context(), time.Second, waitLimit, true, func(ctx context.Context) (bool, error) {
		pods, err := c.client.CoreV1().Pods(systemNamespace).List(ctx, metav1.ListOptions{
			LabelSelector: "app.kubernetes.io/name=" + ourName + ",app.kubernetes.io/component=guard",
		})
		return err == nil && len(pods.Items) == 0, nil
	})
	require.NoError(t, err, "the guards' pods are gone")
}
