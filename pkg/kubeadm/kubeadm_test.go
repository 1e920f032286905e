// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeadm_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/kubeadm"
)

func configMap(data string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kubeadm-config"},
		Data:       map[string]string{"ClusterConfiguration": data, "other": "stays"},
	}
}

func upper(b []byte) ([]byte, error) { return bytes.ToUpper(b), nil }

func TestEditChangesTheClusterConfigurationAlone(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset(configMap("abc"))
	store := kubeadm.Store{Client: client.CoreV1()}
	require.NoError(t, store.Edit(t.Context(), upper))
	data, found, err := store.Load(t.Context())
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, "ABC", string(data))
	cm, err := client.CoreV1().ConfigMaps("kube-system").Get(t.Context(), "kubeadm-config", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, "stays", cm.Data["other"])
}

func TestEditEditsWhatSomebodyElseHasWrittenMeanwhile(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset(configMap("abc"))
	conflicts := 0
	client.PrependReactor("update", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
		if conflicts > 0 {
			return false, nil, nil
		}
		conflicts++
		err := client.Tracker().Update(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, configMap("def"), "kube-system")
		if err != nil {
			return true, nil, err
		}
		return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "configmaps"}, "kubeadm-config", errors.New("changed"))
	})
	store := kubeadm.Store{Client: client.CoreV1()}
	require.NoError(t, store.Edit(t.Context(), upper))
	data, _, err := store.Load(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "DEF", string(data))
}

func TestEditWritesNothingWhereNothingChanges(t *testing.T) {
	t.Parallel()
	for name, client := range map[string]*fake.Clientset{"a cluster that is not kubeadm's": fake.NewClientset(), "already so": fake.NewClientset(configMap("ABC"))} {
		store := kubeadm.Store{Client: client.CoreV1()}
		require.NoError(t, store.Edit(t.Context(), upper), name)
		for _, a := range client.Actions() {
			assert.Equal(t, "get", a.GetVerb(), name)
		}
	}
	store := kubeadm.Store{Client: fake.NewClientset(configMap("abc")).CoreV1()}
	require.ErrorContains(t, store.Edit(t.Context(), func([]byte) ([]byte, error) { return nil, errors.New("not understood") }), "not understood")
}
