// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
)

// What is decrypted is of interest like what is encrypted; what never had a key is not.
func TestKeysFirstMakesEncryptingRulesOfThoseThatReadKeys(t *testing.T) {
	t.Parallel()
	plaintext, key := encconfig.Key{Provider: encconfig.Identity}, encconfig.Key{Provider: encconfig.AESGCM, Name: "1"}
	d := encconfig.Description{Rules: []encconfig.Rule{
		{Resources: []string{"secrets"}, Keys: []encconfig.Key{key, plaintext}},
		{Resources: []string{"configmaps"}, Keys: []encconfig.Key{plaintext, key}},
		{Resources: []string{"pods"}, Keys: []encconfig.Key{plaintext}},
	}}
	var names []string
	for _, r := range keysFirst(d).EncryptingRules() {
		names = append(names, r.Resources...)
	}
	assert.Equal(t, []string{"secrets", "configmaps"}, names)
	assert.Len(t, d.EncryptingRules(), 1, "the description itself stays as it is")
}

func TestCollectorReadsWhatKubeadmKeeps(t *testing.T) {
	t.Parallel()
	const flags = `apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
apiServer:
  extraArgs:
  - name: encryption-provider-config
    value: /etc/kubernetes/encryption/config.yaml
  - name: encryption-provider-config-automatic-reload
    value: "true"
  extraVolumes:
  - name: encryption
    hostPath: /etc/kubernetes/encryption
    mountPath: /etc/kubernetes/encryption
`
	tests := map[string]struct {
		data, path, message string
	}{
		"flags":            {flags, "/etc/kubernetes/encryption/config.yaml", ""},
		"no flags":         {"apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n", "", ""},
		"nothing to parse": {"a: [", "", "line"},
		"another kind":     {"apiVersion: v1\nkind: Pod\n", "", "ClusterConfiguration"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := fake.NewClientset(&corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kubeadm-config"},
				Data:       map[string]string{"ClusterConfiguration": tt.data},
			})
			k := Collector{Cluster: &kube.Cluster{Typed: client}}.kubeadm(t.Context())
			assert.True(t, k.Found)
			assert.Equal(t, tt.path, k.Encryption.ConfigPath)
			if tt.message == "" {
				assert.NoError(t, k.Err)
			} else {
				assert.ErrorContains(t, k.Err, tt.message)
			}
		})
	}
}

func TestCollectorTellsNoKubeadmFromOneThatMayNotBeRead(t *testing.T) {
	t.Parallel()
	assert.Equal(t, Kubeadm{}, Collector{Cluster: &kube.Cluster{Typed: fake.NewClientset()}}.kubeadm(t.Context()))
	client := fake.NewClientset()
	client.PrependReactor("get", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("no")
	})
	k := Collector{Cluster: &kube.Cluster{Typed: client}}.kubeadm(t.Context())
	assert.EqualError(t, k.Err, "read ConfigMap kubeadm-config: no")
	assert.False(t, k.carries())
	assert.Nil(t, k.status())
}
