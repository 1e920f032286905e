// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
)

// connect is a cluster of a kubeconfig with two contexts for one server.
func connect(t *testing.T, url, context string) *kube.Cluster {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(file, []byte(`apiVersion: v1
kind: Config
current-context: one
clusters: [{name: c, cluster: {server: "`+url+`"}}]
users: [{name: ann, user: {}}, {name: ben, user: {}}]
contexts: [{name: one, context: {cluster: c, user: ann}}, {name: two, context: {cluster: c, user: ben}}]
`), 0o600))
	flags := genericclioptions.NewConfigFlags(false)
	flags.KubeConfig, flags.Context = &file, &context
	c, err := kube.Connect(flags)
	require.NoError(t, err)
	return c
}

func TestConnectNamesTheClusterAsTheKubeconfigDoes(t *testing.T) {
	t.Parallel()
	one := connect(t, "https://192.0.2.1:6443", "")
	assert.Equal(t, []string{"one", "https://192.0.2.1:6443", "ann"}, []string{one.Context, one.Server, one.User})
	two := connect(t, "https://192.0.2.1:6443", "two")
	assert.Equal(t, []string{"two", "ben"}, []string{two.Context, two.User})
	assert.Contains(t, one.Config.UserAgent, "kubectl-encryption/")
	assert.Negative(t, one.Config.QPS, "the server protects itself")
}

func TestConnectSaysThatThereIsNoKubeconfig(t *testing.T) {
	t.Parallel()
	flags := genericclioptions.NewConfigFlags(false)
	flags.KubeConfig = new(filepath.Join(t.TempDir(), "none"))
	_, err := kube.Connect(flags)
	assert.ErrorContains(t, err, "read kubeconfig: ")
}

func TestNowIsTheServersTime(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/version", r.URL.Path)
		w.Header().Set("Date", "Fri, 01 Jan 2100 00:00:00 GMT")
	}))
	defer server.Close()
	now, err := connect(t, server.URL, "").Now(t.Context())
	require.NoError(t, err)
	assert.True(t, now.Equal(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)))
}

func TestNowIsNotTheTimeOfAProxy(t *testing.T) {
	t.Parallel()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked == 1 {
			w.Header().Set("Date", "Fri, 01 Jan 2100 00:00:00 GMT")
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Header().Set("Date", "Fri, 01 Jan 2027 00:00:00 GMT")
	}))
	defer server.Close()
	now, err := connect(t, server.URL, "").Now(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2027, now.Year(), "an hour that a proxy is ahead would let keys leave early")
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestNowAsksAgainWhereAServerHangs(t *testing.T) {
	t.Parallel()
	c := connect(t, "http://192.0.2.1:1", "")
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c.Config.WrapTransport = func(http.RoundTripper) http.RoundTripper {
			return transport(func(r *http.Request) (*http.Response, error) {
				if asked++; asked == 1 {
					<-r.Context().Done()
					return nil, r.Context().Err()
				}
				answer := httptest.NewRecorder()
				answer.Header().Set("Date", "Fri, 01 Jan 2027 00:00:00 GMT")
				return answer.Result(), nil
			})
		}
		now, err := c.Now(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 2027, now.Year())
		assert.Equal(t, 2, asked)
	})
}

func TestNowIsNotGuessed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header()["Date"] = nil }))
	c := connect(t, server.URL, "")
	_, err := c.Now(t.Context())
	require.ErrorContains(t, err, "carries no date")
	server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond) // a server that is away is asked again for a minute
	defer cancel()
	_, err = c.Now(ctx)
	assert.ErrorContains(t, err, "ask the API server for the time")
}

func TestAggregatedGroupsAreThoseOfOtherServers(t *testing.T) {
	t.Parallel()
	answer := `{"items":[{"spec":{"group":"apps"}},{"spec":{"group":"batch","service":null}},
		{"spec":{"group":"metrics.k8s.io","service":{"name":"metrics-server","namespace":"kube-system"}}}]}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/apis/apiregistration.k8s.io/v1/apiservices", r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(answer))
	}))
	c := connect(t, server.URL, "")
	groups, err := c.AggregatedGroups(t.Context())
	require.NoError(t, err)
	assert.Equal(t, map[string]bool{"metrics.k8s.io": true}, groups)
	answer = `{"items":`
	_, err = c.AggregatedGroups(t.Context())
	require.ErrorContains(t, err, "read APIServices")
	server.Close()
	_, err = c.AggregatedGroups(t.Context())
	assert.ErrorContains(t, err, "list APIServices")
}
