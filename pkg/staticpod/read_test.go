// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package staticpod_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/staticpod"
)

// small is a manifest with one of everything, for tests that change one thing in it.
const small = `apiVersion: v1
kind: Pod
metadata:
  name: kube-apiserver
  namespace: kube-system
spec:
  containers:
  - command:
    - kube-apiserver
    - --secure-port=6443
    name: kube-apiserver
    volumeMounts:
    - mountPath: /etc/kubernetes/pki
      name: k8s-certs
  hostNetwork: true
  volumes:
  - hostPath:
      path: /etc/kubernetes/pki
    name: k8s-certs
`

func TestRead_says_what_a_guard_needs_to_know(t *testing.T) {
	t.Parallel()
	manifest := strings.NewReplacer(
		"--secure-port=6443", "--secure_port=7443\n    - --bind-address\n    - 10.0.0.1",
		"namespace: kube-system", "labels: {}",
		"hostNetwork: true", "securityContext: {runAsUser: 5}",
	).Replace(small)
	m, err := staticpod.Read([]byte(manifest))
	require.NoError(t, err)
	assert.Equal(t, staticpod.Manifest{
		PodName: "kube-apiserver", Namespace: "default", SecurePort: 7443, BindAddress: "10.0.0.1", RunAsUser: 5,
	}, m)
}

func TestRead_finds_the_configuration_on_the_node(t *testing.T) {
	t.Parallel()
	flag := "--encryption-provider-config="
	for name, row := range map[string]struct {
		replace []string
		want    staticpod.Encryption
	}{
		"no flag => off": {nil, staticpod.Encryption{}},
		"a folder is mounted at another path => the path on the node": {
			[]string{"mountPath: /etc/kubernetes/pki", "mountPath: /x/", "--secure-port=6443", flag + "/x//a/c.yaml"},
			staticpod.Encryption{ConfigPath: "/x//a/c.yaml", HostPath: "/etc/kubernetes/pki/a/c.yaml"},
		},
		"a folder of the volume is mounted => it is on the way": {
			[]string{"name: k8s-certs\n  hostNetwork", "name: k8s-certs\n      subPath: sub\n  hostNetwork", "--secure-port=6443", flag + "/etc/kubernetes/pki/c"},
			staticpod.Encryption{ConfigPath: "/etc/kubernetes/pki/c", HostPath: "/etc/kubernetes/pki/sub/c"},
		},
		"the folder depends on the environment => not known": {
			[]string{"name: k8s-certs\n  hostNetwork", "name: k8s-certs\n      subPathExpr: $(X)\n  hostNetwork", "--secure-port=6443", flag + "/etc/kubernetes/pki/c"},
			staticpod.Encryption{ConfigPath: "/etc/kubernetes/pki/c"},
		},
		"the file alone is mounted => said": {
			[]string{"mountPath: /etc/kubernetes/pki", "mountPath: /c", "--secure-port=6443", flag + "/c"},
			staticpod.Encryption{ConfigPath: "/c", HostPath: "/etc/kubernetes/pki", FileMount: true},
		},
		"the path is outside every mount => not known": {
			[]string{"--secure-port=6443", flag + "/etc/kubernetes/pki2/c"},
			staticpod.Encryption{ConfigPath: "/etc/kubernetes/pki2/c"},
		},
		"the longest mount wins => of two nested ones the inner": {
			[]string{"mountPath: /etc/kubernetes/pki", "mountPath: /etc\n      name: none\n    - mountPath: /etc/kubernetes/pki", "--secure-port=6443", flag + "/etc/kubernetes/pki/c"},
			staticpod.Encryption{ConfigPath: "/etc/kubernetes/pki/c", HostPath: "/etc/kubernetes/pki/c"},
		},
		"automatic reload without a value => on": {
			[]string{"--secure-port=6443", "--encryption-provider-config-automatic-reload"},
			staticpod.Encryption{AutomaticReload: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := staticpod.Read([]byte(strings.NewReplacer(row.replace...).Replace(small)))
			require.NoError(t, err)
			assert.Equal(t, row.want, m.Encryption)
		})
	}
}
