// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
)

const provider = "--encryption-provider-config"

func pod(command ...string) *corev1.Pod {
	p := &corev1.Pod{}
	p.Name = "kube-apiserver-n1"
	p.Spec.Containers = []corev1.Container{{Name: "kube-apiserver", Command: append([]string{"kube-apiserver"}, command...)}}
	return p
}

func TestReadManifestReadsFlags(t *testing.T) {
	t.Parallel()
	type want = controlplane.Manifest
	const minutes = 5 * time.Minute
	tests := map[string]struct {
		command []string
		want    want
	}{
		"no flag at all": {nil, want{SecurePort: 6443, CompactionInterval: minutes}},
		"name and value in one word": {
			[]string{provider + "=/e/c.yaml", provider + "-automatic-reload=true"},
			want{ConfigPath: "/e/c.yaml", AutomaticReload: true, SecurePort: 6443, CompactionInterval: minutes},
		},
		"name and value in two words": {
			[]string{provider, "/e/c.yaml", "--secure-port", "443"},
			want{ConfigPath: "/e/c.yaml", SecurePort: 443, CompactionInterval: minutes},
		},
		"underscores in a name": {
			[]string{"--encryption_provider_config=/e/c.yaml"},
			want{ConfigPath: "/e/c.yaml", SecurePort: 6443, CompactionInterval: minutes},
		},
		"a switch without a value": {
			[]string{provider + "-automatic-reload", "--secure-port=443"},
			want{AutomaticReload: true, SecurePort: 443, CompactionInterval: minutes},
		},
		"a switch that is off": {
			[]string{provider + "-automatic-reload=false"}, want{SecurePort: 6443, CompactionInterval: minutes},
		},
		"another compaction interval": {
			[]string{"--etcd-compaction-interval=90s"}, want{SecurePort: 6443, CompactionInterval: 90 * time.Second},
		},
		"no compaction": {[]string{"--etcd-compaction-interval=0s"}, want{SecurePort: 6443}},
		"flags of other names and words of other flags": {
			[]string{"--audit-log-path", "encryption-provider-config=/no", "--encryption", "--secure-ports=1"},
			want{SecurePort: 6443, CompactionInterval: minutes},
		},
		"an empty path": {[]string{provider + "="}, want{SecurePort: 6443, CompactionInterval: minutes}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := controlplane.ReadManifest(pod(tt.command...))
			require.NoError(t, err)
			tt.want.EventTTL = time.Hour
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestReadManifestReadsArgumentsAfterTheCommand(t *testing.T) {
	t.Parallel()
	p := pod("--secure-port=443")
	p.Spec.Containers[0].Args = []string{provider + "=/e/c.yaml"}
	got, err := controlplane.ReadManifest(p)
	require.NoError(t, err)
	assert.Equal(t, 443, got.SecurePort)
	assert.Equal(t, "/e/c.yaml", got.ConfigPath)
}

func TestReadManifestRefusesWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	nameless := pod()
	nameless.Spec.Containers[0].Name = "other"
	tests := map[string]struct {
		pod     *corev1.Pod
		message string
	}{
		"no container of that name":     {nameless, "no container kube-apiserver"},
		"the path twice":                {pod(provider+"=/a", provider+"=/b"), "given twice"},
		"the path twice, spelled apart": {pod(provider, "/a", "--encryption_provider_config=/b"), "given twice"},
		"a switch that is neither":      {pod(provider + "-automatic-reload=maybe"), "neither true nor false"},
		"a port that is no number":      {pod("--secure-port=https"), "not a number"},
		"a port without a value":        {pod("--secure-port", "--v=2"), "not a number"},
		"an interval that is none":      {pod("--etcd-compaction-interval=5"), "not a duration"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := controlplane.ReadManifest(tt.pod)
			require.ErrorContains(t, err, tt.message)
			assert.ErrorContains(t, err, "kube-apiserver-n1", "the pod is named")
		})
	}
}

func TestReadManifestFindsTheFileOnTheNode(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		config    string
		mounts    []corev1.VolumeMount
		dir, file string
		fileMount bool
	}{
		"the folder is mounted": {
			"/etc/enc/config.yaml", []corev1.VolumeMount{{Name: "host", MountPath: "/etc/enc"}}, "/host", "config.yaml", false,
		},
		"a folder above is mounted": {
			"/etc/enc/deep/config.yaml", []corev1.VolumeMount{{Name: "host", MountPath: "/etc"}}, "/host/enc/deep", "config.yaml", false,
		},
		"the root is mounted": {
			"/config.yaml", []corev1.VolumeMount{{Name: "host", MountPath: "/"}}, "/host", "config.yaml", false,
		},
		"a slash ends the mount's path": {
			"/etc/enc/config.yaml", []corev1.VolumeMount{{Name: "host", MountPath: "/etc/enc/"}}, "/host", "config.yaml", false,
		},
		"the single file is mounted": {
			"/etc/enc.yaml", []corev1.VolumeMount{{Name: "host", MountPath: "/etc/enc.yaml"}}, "/", "host", true,
		},
		"a single file of a folder is mounted": {
			"/etc/enc.yaml", []corev1.VolumeMount{{Name: "host", MountPath: "/etc/enc.yaml", SubPath: "a/b.yaml"}}, "/host/a", "b.yaml", true,
		},
		"a folder of a folder is mounted": {
			"/etc/enc/c.yaml", []corev1.VolumeMount{{Name: "host", MountPath: "/etc/enc", SubPath: "a"}}, "/host/a", "c.yaml", false,
		},
		"the longest mount counts, wherever it stands": {
			"/etc/enc/c.yaml", []corev1.VolumeMount{
				{Name: "other", MountPath: "/etc"}, {Name: "host", MountPath: "/etc/enc"}, {Name: "other", MountPath: "/"},
			}, "/host", "c.yaml", false,
		},
		"a mount whose path is only a prefix of the name does not count": {
			"/etc/encryption/c.yaml",
			[]corev1.VolumeMount{{Name: "other", MountPath: "/etc"}, {Name: "host", MountPath: "/etc/enc"}},
			"/other/encryption", "c.yaml", false,
		},
		"a path with dots is followed": {
			"/etc/enc/../enc/c.yaml", []corev1.VolumeMount{{Name: "host", MountPath: "/etc/enc"}}, "/host", "c.yaml", false,
		},
		"no mount holds the path":               {"/etc/enc/c.yaml", []corev1.VolumeMount{{Name: "host", MountPath: "/var"}}, "", "", false},
		"there is no mount":                     {"/etc/enc/c.yaml", nil, "", "", false},
		"the volume is none of the node's":      {"/etc/enc/c.yaml", []corev1.VolumeMount{{Name: "secret", MountPath: "/etc/enc"}}, "", "", false},
		"the volume is missing":                 {"/etc/enc/c.yaml", []corev1.VolumeMount{{Name: "lost", MountPath: "/etc/enc"}}, "", "", false},
		"the folder depends on the environment": {"/etc/enc/c.yaml", []corev1.VolumeMount{{Name: "host", MountPath: "/etc/enc", SubPathExpr: "$(X)"}}, "", "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pod(provider + "=" + tt.config)
			p.Spec.Containers[0].VolumeMounts = tt.mounts
			p.Spec.Volumes = []corev1.Volume{
				hostPath("host"), hostPath("other"),
				{Name: "secret", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}}},
			}
			got, err := controlplane.ReadManifest(p)
			require.NoError(t, err)
			assert.Equal(t, tt.dir, got.HostDir)
			assert.Equal(t, tt.file, got.File)
			assert.Equal(t, tt.fileMount, got.FileMount)
		})
	}
}

func hostPath(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/" + name}}}
}

// Each manifest stands beside the YAML of what is read of it.
func TestReadManifestOfWholeManifests(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.manifest.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			var p corev1.Pod
			require.NoError(t, yaml.UnmarshalStrict(read(t, file), &p))
			got, err := controlplane.ReadManifest(&p)
			require.NoError(t, err)
			have, err := yaml.Marshal(got)
			require.NoError(t, err)
			assert.Equal(t, string(read(t, strings.Replace(file, ".manifest.", ".read.", 1))), string(have))
		})
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	return data
}
