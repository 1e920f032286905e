// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
)

// etcdPod is a member's mirror pod as kubeadm makes it, with these flags.
func etcdPod(node string, command ...string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "etcd-" + node, Namespace: "kube-system", Labels: map[string]string{"component": "etcd", "tier": "control-plane"},
			Annotations: map[string]string{"kubernetes.io/config.mirror": "x"},
		},
		Spec: corev1.PodSpec{
			NodeName: node,
			Containers: []corev1.Container{{
				Name: "etcd", Command: command,
				VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/var/lib/etcd"}, {Name: "wal", MountPath: "/wal"}},
			}},
			Volumes: []corev1.Volume{
				{Name: "data", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/data/etcd"}}},
				{Name: "wal", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/fast"}}},
			},
		},
	}
}

func members(t *testing.T, pods ...*corev1.Pod) []controlplane.Member {
	t.Helper()
	client := fake.NewClientset()
	for _, p := range pods {
		require.NoError(t, client.Tracker().Add(p))
	}
	list, err := controlplane.Members(t.Context(), client)
	require.NoError(t, err)
	return list
}

func TestMembersAreReadFromTheirPods(t *testing.T) {
	t.Parallel()
	moved := etcdPod("n1", "etcd", "--data-dir", "/var/lib/etcd/here", "--wal-dir=/wal/log", "--listen_client_urls=https://0.0.0.0:2379")
	kubeadm := etcdPod(
		"n2", "etcd", "--advertise-client-urls=https://10.0.0.2:2379,https://b:1", "--data-dir=/var/lib/etcd",
		"--cert-file=/pki/server.crt", "--key-file=/pki/server.key", "--trusted-ca-file=/pki/ca.crt",
	)
	stranger := etcdPod("n3", "etcd", "--data-dir=/var/lib/etcd")
	stranger.Annotations = nil
	assert.Equal(t, []controlplane.Member{
		{Node: "n1", Pod: "etcd-n1", SnapDir: "/data/etcd/here/member/snap", WALDir: "/fast/log"},
		{
			Node: "n2", Pod: "etcd-n2", SnapDir: "/data/etcd/member/snap", WALDir: "/data/etcd/member/wal",
			URL: "https://10.0.0.2:2379", CA: "/pki/ca.crt", Cert: "/pki/server.crt", Key: "/pki/server.key",
		},
	}, members(t, kubeadm, moved, stranger))
	assert.Empty(t, members(t), "etcd is run by other means")
}

func TestAMemberThatIsNotUnderstoodIsAProblem(t *testing.T) {
	t.Parallel()
	other := etcdPod("n1", "etcd", "--data-dir=/var/lib/etcd")
	other.Spec.Containers[0].Name = "something"
	with := func(name string) *corev1.Pod {
		pod := etcdPod("n1", "etcd", "--data-dir=/var/lib/etcd")
		pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "GOGC", Value: "50"}, {Name: name, Value: "/elsewhere"}}
		return pod
	}
	from := etcdPod("n1", "etcd", "--data-dir=/var/lib/etcd")
	from.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{}}
	for message, pod := range map[string]*corev1.Pod{
		"has no container etcd":                other,
		"does not run etcd directly":           etcdPod("n1", "sh", "-c", "etcd --data-dir=/var/lib/etcd"),
		"takes its value from the environment": etcdPod("n1", "etcd", "--data-dir=$(DATA)"),
		"by the flag --data-dir":               etcdPod("n1", "etcd", "--name=n1"),
		"flag --data-dir where its data is":    etcdPod("n1", "etcd", "--data-dir=default.etcd"),
		"does not say by the flag --data-dir":  etcdPod("n1", "etcd", "--data-dir=/var/lib/etcd", "--config-file=/c.yaml"),
		"--data-dir is on no hostPath volume":  etcdPod("n1", "etcd", "--data-dir=/elsewhere"),
		"ETCD_WAL_DIR in its environment":      with("ETCD_WAL_DIR"),
		"ETCD_CONFIG_FILE in its environment":  with("ETCD_CONFIG_FILE"),
		"what is taken from elsewhere in its":  from,
		"its log is on no hostPath volume":     etcdPod("n1", "etcd", "--data-dir=/var/lib/etcd", "--wal-dir=/elsewhere"),
	} {
		list := members(t, pod)
		require.Len(t, list, 1)
		require.ErrorContains(t, list[0].Problem, message)
	}
}

func TestWhoseMembersAnswerAKubeAPIServer(t *testing.T) {
	t.Parallel()
	list := []controlplane.Member{{Node: "n1", URL: "https://10.0.0.1:2379"}, {Node: "n2"}}
	for server, want := range map[string]bool{
		"https://127.0.0.1:2379": true, "https://[::1]:2379": true, "https://localhost:2379": true, "https://10.0.0.1:2379": true,
		"https://10.0.0.2:2379": false, "https://etcd.example.com": false, "": false, ":": false,
	} {
		assert.Equal(t, want, controlplane.Behind([]string{"https://elsewhere", server}, list), server)
	}
}
