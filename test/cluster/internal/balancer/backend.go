// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package balancer

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// backend is one kube-apiserver.
type backend struct {
	address string
	client  *http.Client

	mu       sync.Mutex
	ready    bool
	failures int
	open     map[net.Conn]struct{}
}

func newBackend(address string) *backend {
	return &backend{
		address: address,
		open:    map[net.Conn]struct{}{},
		client: &http.Client{
			Timeout: 2 * time.Second,
			Transport: &http.Transport{
				// A balancer has no part in the trust between its two sides.
				TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
				DisableKeepAlives: true,
			},
		},
	}
}

func (b *backend) isReady() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ready
}

// probe asks the instance whether it is ready. One that nobody reaches any
// more has its connections cut: their clients would wait for minutes for an
// answer from a node that lost its power.
func (b *backend) probe(ctx context.Context) {
	reached, ready := b.ask(ctx)
	b.mu.Lock()
	b.ready = ready
	b.failures++
	if reached {
		b.failures = 0
	}
	dead := b.failures >= failuresUntilDead
	b.mu.Unlock()
	if dead {
		b.cut()
	}
}

func (b *backend) ask(ctx context.Context) (reached, ready bool) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://%s/readyz", b.address), http.NoBody)
	if err != nil {
		return false, false
	}
	response, err := b.client.Do(request)
	if err != nil {
		return false, false
	}
	_ = response.Body.Close()
	return true, response.StatusCode == http.StatusOK
}

// join passes bytes both ways until both sides have finished.
func (b *backend) join(client, server net.Conn) {
	b.mu.Lock()
	b.open[server] = struct{}{}
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.open, server)
		b.mu.Unlock()
		_ = server.Close()
	}()
	var copies sync.WaitGroup
	copies.Go(func() { pass(server, client) })
	copies.Go(func() { pass(client, server) })
	copies.Wait()
}

// pass copies until from ends, and hands the end on.
func pass(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
		_ = half.CloseWrite()
		return
	}
	_ = to.Close()
	_ = from.Close()
}

// cut closes every open connection.
func (b *backend) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for connection := range b.open {
		_ = connection.Close()
	}
}
