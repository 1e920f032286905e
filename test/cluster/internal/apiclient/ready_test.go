// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package apiclient

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubeconfig"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/pki"
)

// serve answers paths with the given bodies, and all others with 404.
func serve(t *testing.T, bodies map[string]string) *Client {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := bodies[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return &Client{server: server.URL, http: server.Client()}
}

const (
	nodesPath = "/api/v1/nodes"
	podsPath  = "/api/v1/namespaces/kube-system/pods"
	slicePath = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
)

func list(name, ready string) string {
	return `{"items":[{"metadata":{"name":"` + name + `"},"status":{"conditions":[{"type":"Ready","status":"` + ready + `"}]}}]}`
}

func TestNodesReady(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		nodes, pods, want string
	}{
		"node and pod are ready => fine":     {nodes: list("n1", "True"), pods: list("kube-apiserver-n1", "True")},
		"the node is not => it says so":      {nodes: list("n1", "False"), pods: list("kube-apiserver-n1", "True"), want: "node n1 is not ready"},
		"the node is not known => the same":  {nodes: list("n2", "True"), pods: list("kube-apiserver-n1", "True"), want: "node n1 is not ready"},
		"its kube-apiserver is not => so":    {nodes: list("n1", "True"), pods: list("kube-apiserver-n1", "False"), want: "pod kube-apiserver-n1 is not ready"},
		"the answer is no JSON => an error":  {nodes: "<html>", pods: "", want: "ask for /api/v1/nodes"},
		"there is no pod at all => an error": {nodes: list("n1", "True"), pods: `{}`, want: "pod kube-apiserver-n1 is not ready"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := serve(t, map[string]string{nodesPath: row.nodes, podsPath: row.pods})
			err := client.NodesReady(t.Context(), []string{"n1"})
			if row.want == "" {
				require.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, row.want)
		})
	}
}

func TestEndpointsListed(t *testing.T) {
	t.Parallel()
	client := serve(t, map[string]string{slicePath: `{"endpoints":[{"addresses":["10.0.0.1"]},{"addresses":["10.0.0.2"]}]}`})
	require.NoError(t, client.EndpointsListed(t.Context(), []string{"10.0.0.2", "10.0.0.1"}))
	require.ErrorContains(t, client.EndpointsListed(t.Context(), []string{"10.0.0.3"}), "10.0.0.3")
	require.ErrorContains(t, serve(t, nil).EndpointsListed(t.Context(), nil), "404")
}

func TestNew_needsACertificate(t *testing.T) {
	t.Parallel()
	authority, err := pki.NewAuthority("test")
	require.NoError(t, err)
	pair, err := authority.Issue(pki.Subject{CommonName: "client"})
	require.NoError(t, err)
	config := kubeconfig.Config{CA: authority.Certificate, Certificate: pair.Certificate, Key: pair.Key}
	_, err = New(config)
	require.NoError(t, err)

	without := config
	without.Key = nil
	_, err = New(without)
	require.ErrorContains(t, err, "client certificate")
	without = config
	without.CA = nil
	_, err = New(without)
	require.ErrorContains(t, err, "certificate authority")
}
