// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const kubeadmKey = "ClusterConfiguration"

// kubeadmConfig is what kubeadm takes its next manifests from.
func (c *cluster) kubeadmConfig(t *testing.T) string {
	t.Helper()
	m, err := c.client.CoreV1().ConfigMaps(systemNamespace).Get(t.Context(), "kubeadm-config", metav1.GetOptions{})
	require.NoError(t, err)
	return m.Data[kubeadmKey]
}

func (c *cluster) setKubeadmConfig(t *testing.T, text string) {
	t.Helper()
	maps := c.client.CoreV1().ConfigMaps(systemNamespace)
	m, err := maps.Get(t.Context(), "kubeadm-config", metav1.GetOptions{})
	require.NoError(t, err)
	m.Data[kubeadmKey] = text
	_, err = maps.Update(t.Context(), m, metav1.UpdateOptions{})
	require.NoError(t, err)
}

// encryptionOf is what a manifest says about encryption: flags, and the mount of the folder with its volume.
type encryptionOf struct {
	flags   []string
	mounts  []corev1.VolumeMount
	volumes []corev1.HostPathVolumeSource
}

func encryptionIn(t *testing.T, manifest string) encryptionOf {
	t.Helper()
	var pod corev1.Pod
	require.NoError(t, yaml.Unmarshal([]byte(manifest), &pod))
	require.Len(t, pod.Spec.Containers, 1)
	var found encryptionOf
	for _, flag := range pod.Spec.Containers[0].Command {
		if strings.HasPrefix(flag, "--encryption-provider-config") {
			found.flags = append(found.flags, flag)
		}
	}
	for _, m := range pod.Spec.Containers[0].VolumeMounts {
		if m.MountPath == configFolder {
			found.mounts = append(found.mounts, m)
			found.volumes = append(found.volumes, volumeOf(t, pod, m.Name))
		}
	}
	return found
}

func volumeOf(t *testing.T, pod corev1.Pod, name string) corev1.HostPathVolumeSource {
	t.Helper()
	for _, v := range pod.Spec.Volumes {
		if v.Name == name {
			require.NotNil(t, v.HostPath)
			return *v.HostPath
		}
	}
	require.Fail(t, "the mount has a volume", name)
	return corev1.HostPathVolumeSource{}
}

// check requires that the flags turn encryption and reload on, and that the folder with the file is mounted.
func (e encryptionOf) check(t *testing.T, whose string) {
	t.Helper()
	assert.ElementsMatch(t, []string{
		"--encryption-provider-config=" + configFolder + "/config.yaml", "--encryption-provider-config-automatic-reload=true",
	}, e.flags, whose)
	if assert.Len(t, e.mounts, 1, "%s: the folder is mounted", whose) {
		assert.True(t, e.mounts[0].ReadOnly, "%s: read-only", whose)
		assert.Equal(t, configFolder, e.volumes[0].Path, whose)
		assert.Equal(t, new(corev1.HostPathDirectoryOrCreate), e.volumes[0].Type, whose)
	}
}

// checkFlagsEverywhere requires that each node's manifest has encryption on, and what kubeadm would write there, too.
func (c *cluster) checkFlagsEverywhere(t *testing.T) {
	t.Helper()
	for _, n := range c.nodes {
		encryptionIn(t, n.manifest(t)).check(t, "the manifest of "+n.name)
		encryptionIn(t, c.regenerated(t, n)).check(t, "what kubeadm would write on "+n.name)
	}
}

// regenerated is the manifest that `kubeadm upgrade` would write on a node, from what it finds in the cluster.
func (c *cluster) regenerated(t *testing.T, n *node) string {
	t.Helper()
	const begins, ends = `manifests/kube-apiserver.yaml" with content:` + "\n", "[dryrun]"
	said := c.exec(t, n, "kubeadm", "upgrade", "node", "phase", "control-plane", "--dry-run")
	_, manifest, found := strings.Cut(said, begins)
	require.True(t, found, said)
	manifest, _, _ = strings.Cut(manifest, ends)
	return manifest
}
