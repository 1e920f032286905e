// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package nodejob

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

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

// exampleReader looks at files alone.
func exampleReader(node string) Spec {
	s := exampleSpec(node)
	s.Reader, s.Owner = true, metav1.OwnerReference{}
	return s
}

func exampleReaderOfEtcd(node string) Spec {
	s := exampleReader(node)
	s.Etcd = &Etcd{
		CA: "/etc/kubernetes/pki/etcd/ca.crt", Cert: "/etc/kubernetes/pki/apiserver-etcd-client.crt",
		Key: "/etc/kubernetes/pki/apiserver-etcd-client.key", Life: time.Hour,
	}
	return s
}

func exampleSearcher(node string) Spec {
	return Spec{
		Node: node, Run: "1a2b3c4d", Image: image, ConfigFile: "config.yaml", Reader: true,
		Data: &Data{Snap: "/var/lib/etcd/member/snap", WAL: "/var/lib/etcd/member/wal", Life: time.Hour},
	}
}

// What the Job may do on a node is read by people who decide whether it may run: no change of it goes unseen.
func TestTheWholeJob(t *testing.T) {
	t.Parallel()
	editing := exampleSpec("n1")
	editing.NewDir, editing.Manifests = true, true
	sealing := exampleSpec("n1")
	sealing.ReadOnly = true
	for golden, spec := range map[string]Spec{
		"testdata/job.yaml": exampleSpec("n1"), "testdata/job-that-edits.yaml": editing, "testdata/job-that-seals.yaml": sealing,
		"testdata/job-that-reads.yaml": exampleReader("n1"), "testdata/job-that-reads-etcd.yaml": exampleReaderOfEtcd("n1"),
		"testdata/job-that-searches-etcd.yaml": exampleSearcher("n1"),
	} {
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

func TestAnAgentThatSealsABundleHasNothingToWriteToAndNoHistory(t *testing.T) {
	t.Parallel()
	s := exampleSpec("n1")
	s.ReadOnly = true
	job := s.job()
	mounts := job.Spec.Template.Spec.Containers[0].VolumeMounts
	require.Len(t, mounts, 1)
	assert.Equal(t, "config", mounts[0].Name)
	assert.True(t, mounts[0].ReadOnly)
	assert.Len(t, job.OwnerReferences, 1, "it goes with the lock of its command")
	assert.NotContains(t, job.Spec.Template.Spec.Containers[0].Args, "--idle=2m", "which may wait for kube-apiservers before it asks")
}

func TestAReaderHasNothingToWriteTo(t *testing.T) {
	t.Parallel()
	for _, s := range []Spec{exampleReader("n1"), exampleReaderOfEtcd("n1"), exampleSearcher("n1")} {
		pod := s.job().Spec.Template.Spec
		for _, m := range pod.Containers[0].VolumeMounts {
			assert.True(t, m.ReadOnly, m.Name)
		}
		assert.Len(t, pod.Volumes, len(pod.Containers[0].VolumeMounts))
		assert.Equal(t, []corev1.Capability{"ALL"}, pod.Containers[0].SecurityContext.Capabilities.Drop)
		assert.Empty(t, s.job().OwnerReferences, "a reader has no lock")
		assert.Contains(t, pod.Containers[0].Args, "--idle=2m", "and ends by itself when nobody asks")
	}
}

func TestAReaderOfEtcdSeesSingleFilesAndNoHistory(t *testing.T) {
	t.Parallel()
	pod := exampleReaderOfEtcd("n1").job().Spec.Template.Spec
	assert.True(t, pod.HostNetwork, "etcd answers on the node's loopback")
	assert.False(t, pod.HostPID || pod.HostIPC)
	paths := map[string]corev1.HostPathType{}
	for _, v := range pod.Volumes {
		paths[v.HostPath.Path] = *v.HostPath.Type
	}
	assert.Equal(t, map[string]corev1.HostPathType{
		"/etc/kubernetes/encryption": corev1.HostPathDirectory, "/etc/kubernetes/pki/etcd/ca.crt": corev1.HostPathFile,
		"/etc/kubernetes/pki/apiserver-etcd-client.crt": corev1.HostPathFile, "/etc/kubernetes/pki/apiserver-etcd-client.key": corev1.HostPathFile,
	}, paths)
}

func TestASearcherSeesTheFoldersOfEtcdAndNothingElse(t *testing.T) {
	t.Parallel()
	pod := exampleSearcher("n1").job().Spec.Template.Spec
	assert.False(t, pod.HostNetwork || pod.HostPID || pod.HostIPC)
	var paths []string
	for _, v := range pod.Volumes {
		paths = append(paths, v.HostPath.Path)
	}
	assert.Equal(t, []string{"/var/lib/etcd/member/snap", "/var/lib/etcd/member/wal"}, paths, "no key and no certificate")
}

func TestAReaderOfEtcdIsGivenWhatThereIs(t *testing.T) {
	t.Parallel()
	s := exampleReaderOfEtcd("n1")
	s.ConfigDir, s.Etcd = "", &Etcd{CA: "/ca.crt", Life: time.Minute}
	job := s.job()
	require.Len(t, job.Spec.Template.Spec.Volumes, 1, "no configuration and no client certificate")
	assert.Equal(t, "/ca.crt", job.Spec.Template.Spec.Volumes[0].HostPath.Path)
	assert.Equal(t, int64(60), *job.Spec.ActiveDeadlineSeconds)
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
