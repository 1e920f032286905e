// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package balancer

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// instance is a server that answers with its own name.
func instance(t *testing.T, name string, ready *bool) *httptest.Server {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" && !*ready {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, name)
	}))
	t.Cleanup(server.Close)
	return server
}

// newTestBalancer returns a balancer, and a function that asks it once over a
// connection of its own.
func newTestBalancer(t *testing.T, addresses ...string) (*Balancer, func() string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "backends")
	require.NoError(t, WriteBackends(file, addresses))
	balancer := New(file)
	require.NoError(t, balancer.reload())
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	accepted := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { accepted <- balancer.accept(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		assert.NoError(t, <-accepted)
	})
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	return balancer, func() string {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+listener.Addr().String(), http.NoBody)
		require.NoError(t, err)
		response, err := client.Do(request)
		if err != nil {
			return "nobody"
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return string(body)
	}
}

func (b *Balancer) probeAll(ctx context.Context) {
	for _, backend := range b.list() {
		backend.probe(ctx)
	}
}

func TestBalancer_takesTurns(t *testing.T) {
	t.Parallel()
	ready := true
	one, two := instance(t, "one", &ready), instance(t, "two", &ready)
	balancer, ask := newTestBalancer(t, one.Listener.Addr().String(), two.Listener.Addr().String())
	balancer.probeAll(t.Context())
	assert.Equal(t, []string{"one", "two", "one", "two"}, []string{ask(), ask(), ask(), ask()})
}

func TestBalancer_leavesOutWhoIsNotReady(t *testing.T) {
	t.Parallel()
	ready, notReady := true, false
	one, two := instance(t, "one", &ready), instance(t, "two", &notReady)
	balancer, ask := newTestBalancer(t, one.Listener.Addr().String(), two.Listener.Addr().String())
	balancer.probeAll(t.Context())
	assert.Equal(t, []string{"one", "one", "one"}, []string{ask(), ask(), ask()})
}

func TestBalancer_goesOnToTheNextWhenOneIsDead(t *testing.T) {
	t.Parallel()
	ready := true
	one, two := instance(t, "one", &ready), instance(t, "two", &ready)
	balancer, ask := newTestBalancer(t, one.Listener.Addr().String(), two.Listener.Addr().String())
	balancer.probeAll(t.Context())
	one.Close()
	assert.Equal(t, []string{"two", "two"}, []string{ask(), ask()}, "no probe has noticed yet")
	two.Close()
	assert.Equal(t, "nobody", ask())
}

func TestBalancer_asksEvenThoseThatWereNotReady(t *testing.T) {
	t.Parallel()
	ready := true
	one := instance(t, "one", &ready)
	_, ask := newTestBalancer(t, one.Listener.Addr().String())
	assert.Equal(t, "one", ask(), "no probe has been there yet")
}

func TestBalancer_cutsConnectionsToTheDead(t *testing.T) {
	t.Parallel()
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	balancer, _ := newTestBalancer(t, silent.Addr().String())
	require.NoError(t, silent.Close())
	client, server := net.Pipe()
	far, farEnd := net.Pipe()
	defer func() { _ = farEnd.Close() }()
	joined := make(chan struct{})
	go func() {
		balancer.list()[0].join(server, far)
		close(joined)
	}()
	go func() { _, _ = client.Write([]byte("x")) }()
	_, err = io.ReadFull(farEnd, make([]byte, 1))
	require.NoError(t, err, "bytes pass while it lives")
	for range failuresUntilDead {
		balancer.probeAll(t.Context())
	}
	<-joined
	_, err = client.Read(make([]byte, 1))
	assert.ErrorIs(t, err, io.EOF)
}

func TestReload_followsTheFileAndKeepsWhatItKnows(t *testing.T) {
	t.Parallel()
	balancer, _ := newTestBalancer(t, "127.0.0.1:1", "127.0.0.1:2")
	before := balancer.list()
	require.NoError(t, WriteBackends(balancer.file, []string{"127.0.0.1:2", "127.0.0.1:3"}))
	require.NoError(t, balancer.reload())
	after := balancer.list()
	require.Len(t, after, 2)
	assert.Same(t, before[1], after[0])
	require.NoError(t, os.Remove(balancer.file))
	require.Error(t, balancer.reload())
	assert.Len(t, balancer.list(), 2, "a file that is gone changes nothing")
}
