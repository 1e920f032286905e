// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
)

// elsewhere is a resource that another server than kube-apiserver serves and stores.
var elsewhere = schema.GroupVersionResource{Group: "elsewhere.example.com", Version: "v1", Resource: "things"}

// A wildcard covers a resource of an aggregated API by its name. It can be listed and patched, and is stored elsewhere: it is
// left out, while a custom resource beside it is not.
func TestAnAggregatedAPIIsNotMigrated(t *testing.T) {
	define(t, gadgets)
	cluster, err := kube.Connect(configFlags(bare.APIServers[0].Kubeconfig))
	require.NoError(t, err)
	before, err := cluster.AggregatedGroups(t.Context())
	require.NoError(t, err)
	assert.Empty(t, before)

	aggregate(t)
	var served []kube.Resource
	require.NoError(t, wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		served, err = cluster.Resources(ctx)
		return slices.ContainsFunc(served, func(r kube.Resource) bool { return r.GVR == elsewhere && r.Migratable }), err
	}), "the aggregated API is not served")
	aggregated, err := cluster.AggregatedGroups(t.Context())
	require.NoError(t, err)
	assert.Equal(t, map[string]bool{elsewhere.Group: true}, aggregated)

	everything := encconfig.Description{Rules: []encconfig.Rule{{
		Resources: []string{"*.*"}, Keys: []encconfig.Key{{Provider: encconfig.AESGCM, Name: "1"}},
	}}}
	var names []string
	for _, r := range migrator.Encrypted(served, everything, aggregated) {
		names = append(names, r.Name())
	}
	assert.NotContains(t, names, elsewhere.GroupResource().String())
	assert.Subset(t, names, []string{"secrets", "configmaps", gadgets.String()})
}

func configFlags(kubeconfig string) *genericclioptions.ConfigFlags {
	flags := genericclioptions.NewConfigFlags(false)
	flags.KubeConfig = &kubeconfig
	return flags
}

// aggregate has kube-apiserver pass the group on to a server of this test, until the test is over. The Service by which it
// finds the server is an external name, which it resolves without any network of Services (apiserver@v0.37.2
// pkg/util/proxy/proxy.go, ResolveCluster).
func aggregate(t *testing.T) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(discovery))
	t.Cleanup(server.Close)
	host, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	number, err := strconv.ParseInt(port, 10, 32)
	require.NoError(t, err)
	services := bare.typed.CoreV1().Services("default")
	_, err = services.Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "elsewhere"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: host},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, services.Delete(context.WithoutCancel(t.Context()), "elsewhere", metav1.DeleteOptions{}))
	})
	name := elsewhere.Version + "." + elsewhere.Group
	apis := bare.objects.Resource(schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"})
	_, err = apis.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"group": elsewhere.Group, "version": elsewhere.Version, "groupPriorityMinimum": int64(1000), "versionPriority": int64(10),
			"insecureSkipTLSVerify": true, "service": map[string]any{"namespace": "default", "name": "elsewhere", "port": number},
		},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, apis.Delete(ctx, name, metav1.DeleteOptions{}))
		require.NoError(t, wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			_, err := apis.Get(ctx, name, metav1.GetOptions{})
			return apierrors.IsNotFound(err), nil
		}), "the aggregated API is not gone")
	})
}

// discovery says what the aggregated API serves: things without namespaces, which nobody but the test looks for.
func discovery(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/apis/"+elsewhere.GroupVersion().String() {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(metav1.APIResourceList{ // who asks finds out
		TypeMeta:     metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"},
		GroupVersion: elsewhere.GroupVersion().String(),
		APIResources: []metav1.APIResource{{Name: elsewhere.Resource, Kind: "Thing", Verbs: []string{"get", "list", "patch"}}},
	})
}
