// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"crypto/tls"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
)

// served is a server with TLS and the address of an instance that it could be.
func served(t *testing.T, certificates ...tls.Certificate) (*httptest.Server, controlplane.Instance) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: certificates}
	server.StartTLS()
	t.Cleanup(server.Close)
	host, port, err := net.SplitHostPort(strings.TrimPrefix(server.URL, "https://"))
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	return server, controlplane.Instance{
		Node: "n1", Pod: "kube-apiserver-n1", Address: host, Manifest: controlplane.Manifest{SecurePort: number},
	}
}

func TestAnAddressOfAKubeAPIServerIsConnectedToDirectly(t *testing.T) {
	t.Parallel()
	certificate, key, err := cert.GenerateSelfSignedCertKey("kubernetes.default.svc", nil, nil)
	require.NoError(t, err)
	pair, err := tls.X509KeyPair(certificate, key)
	require.NoError(t, err)
	server, in := served(t, pair)
	config, direct := reacher(t, &rest.Config{
		Host: "https://balancer.invalid", TLSClientConfig: rest.TLSClientConfig{CAData: certificate, ServerName: "balancer"},
	}).Route(t.Context(), in)
	require.True(t, direct)
	assert.Equal(t, server.URL, config.Host)
	client, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, config.Host, nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
}

func reacher(t *testing.T, config *rest.Config) *controlplane.Reacher {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return controlplane.NewReacher(config, client)
}

// The certificate of httptest is for example.com and not for the name that kube-apiservers have: whoever answers with a
// certificate for another name, or of another authority, is not the instance.
func TestAnAddressThatDoesNotProveItselfIsReachedByPortForward(t *testing.T) {
	t.Parallel()
	server, in := served(t)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	nobody := in
	nobody.Address = ""
	tests := map[string]struct {
		in     controlplane.Instance
		config rest.TLSClientConfig
	}{
		"of an authority that is not known":              {in, rest.TLSClientConfig{}},
		"of the authority, for another name":             {in, rest.TLSClientConfig{CAData: authority}},
		"nobody's certificate is looked at":              {in, rest.TLSClientConfig{Insecure: true}},
		"the instance has no address":                    {nobody, rest.TLSClientConfig{CAData: authority}},
		"a name of the balancer's does not count for it": {in, rest.TLSClientConfig{CAData: authority, ServerName: "example.com"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, direct := reacher(t, &rest.Config{Host: server.URL, TLSClientConfig: tt.config}).Route(t.Context(), tt.in)
			assert.False(t, direct)
			assert.Equal(t, "https://n1", config.Host)
			assert.NotNil(t, config.Dial)
		})
	}
}
