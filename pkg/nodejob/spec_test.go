// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package nodejob

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files")

const image = "registry.example/encryption-agent@sha256:0123"

func exampleSpec(node string) Spec {
	return Spec{
		Node: node, Run: "1a2b3c4d", Image: image, ConfigDir: "/etc/kubernetes/encryption", ConfigFile: "config.yaml",
		Owner: metav1.OwnerReference{APIVersion: "coordination.k8s.io/v1", Kind: "Lease", Name: "kubectl-encryption", UID: "the-lease"},
	}
}

// What the Job may do on a node is read by people who decide whether it may run: no change of it goes unseen.
func TestTheWholeJob(t *testing.T) {
	t.Parallel()
	editing := exampleSpec("n1")
	editing.NewDir, editing.Manifests = true, true
	for golden, spec := range map[string]Spec{"testdata/job.yaml": exampleSpec("n1"), "testdata/job-that-edits.yaml": editing} {
		got, err := yaml.Marshal(spec.job())
		require.NoError(t, err)
		if *update {
			require.NoError(t, os.WriteFile(golden, got, 0o600))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got))
	}
}

func TestTheJobAsksForNoMoreThanItNeeds(t *testing.T) {
	t.Parallel()
	pod := exampleSpec("n1").job().Spec.Template.Spec
	require.Len(t, pod.Containers, 1)
	security := pod.Containers[0].SecurityContext
	assert.False(t, *security.Privileged)
	assert.False(t, *security.AllowPrivilegeEscalation)
	assert.True(t, *security.ReadOnlyRootFilesystem)
	assert.Equal(t, []corev1.Capability{"ALL"}, security.Capabilities.Drop)
	assert.Empty(t, security.Capabilities.Add)
	assert.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pod.SecurityContext.SeccompProfile.Type)
	assert.False(t, *pod.AutomountServiceAccountToken)
	assert.False(t, pod.HostNetwork || pod.HostPID || pod.HostIPC)
	assert.Empty(t, pod.Containers[0].Env)
	assert.Empty(t, pod.Containers[0].EnvFrom)
	for _, v := range pod.Volumes {
		require.NotNil(t, v.HostPath)
		assert.Contains(t, []string{"/etc/kubernetes/encryption", "/etc/kubernetes/kubectl-encryption"}, v.HostPath.Path)
	}
	assert.Zero(t, *exampleSpec("n1").job().Spec.BackoffLimit)
}

func TestALabelHoldsWhatItCanOfANodesName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 62) + "." + strings.Repeat("x", 60)
	for name, want := range map[string]string{
		"n1": "n1", "node-1.example.com": "node-1.example.com", long: strings.Repeat("n", 62), strings.Repeat("a", 63): strings.Repeat("a", 63),
	} {
		got := exampleSpec(name).job().Labels["kubectl-encryption/node"]
		assert.Equal(t, want, got)
		assert.Empty(t, validation.IsValidLabelValue(got))
	}
	assert.Equal(t, long, exampleSpec(long).job().Spec.Template.Spec.NodeName, "the pod is pinned by the whole name")
}
