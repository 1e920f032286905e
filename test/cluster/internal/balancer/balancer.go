// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package balancer passes TCP connections on to the kube-apiservers of a
// cluster, a new one each time, in turn, and leaves out those that do not
// answer. It is what stands before a control plane of several nodes.
package balancer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	probeInterval = time.Second
	dialTimeout   = time.Second
	// failuresUntilDead is how many probes in a row must find nobody before
	// open connections are cut.
	failuresUntilDead = 3
)

// Balancer knows its backends from a file with one host:port a line, which
// may change while it runs.
type Balancer struct {
	file string

	mu       sync.Mutex
	backends []*backend
	next     int
}

// New returns a balancer for the backends listed in file.
func New(file string) *Balancer {
	return &Balancer{file: file}
}

// Run serves the listeners until ctx ends.
func (b *Balancer) Run(ctx context.Context, listeners ...net.Listener) error {
	if err := b.reload(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	group.Go(func() { b.watch(ctx) })
	errs := make(chan error, len(listeners))
	for _, listener := range listeners {
		stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
		defer stop()
		group.Go(func() {
			errs <- b.accept(ctx, listener)
			cancel()
		})
	}
	group.Wait()
	b.cutAll()
	var err error
	for range listeners {
		err = errors.Join(err, <-errs)
	}
	return err
}

func (b *Balancer) accept(ctx context.Context, listener net.Listener) error {
	for {
		client, err := listener.Accept()
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("accept connection: %w", err)
		}
		if err != nil {
			return nil //nolint:nilerr // the listener was closed because the balancer is to end
		}
		go b.serve(ctx, client)
	}
}

// serve finds an instance that takes the connection and joins the two.
func (b *Balancer) serve(ctx context.Context, client net.Conn) {
	defer func() { _ = client.Close() }()
	for _, backend := range b.candidates() {
		server, err := dial(ctx, backend.address)
		if err != nil {
			continue
		}
		backend.join(client, server)
		return
	}
}

// candidates lists the backends in the order in which this connection tries
// them: those that are ready in turn, then the others, since a probe may be
// older than what it says.
func (b *Balancer) candidates() []*backend {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ready, others []*backend
	for i := range b.backends {
		candidate := b.backends[(b.next+i)%len(b.backends)]
		if candidate.isReady() {
			ready = append(ready, candidate)
		} else {
			others = append(others, candidate)
		}
	}
	b.next++
	return append(ready, others...)
}

// watch reads the file again and probes every backend until ctx ends.
func (b *Balancer) watch(ctx context.Context) {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for {
		var probes sync.WaitGroup
		for _, backend := range b.list() {
			probes.Go(func() { backend.probe(ctx) })
		}
		probes.Wait()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			// A file that cannot be read just now leaves the list as it is.
			_ = b.reload()
		}
	}
}

func (b *Balancer) list() []*backend {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*backend(nil), b.backends...)
}

func (b *Balancer) cutAll() {
	for _, backend := range b.list() {
		backend.cut()
	}
}

// reload takes the backends from the file and keeps those it knew already.
func (b *Balancer) reload() error {
	content, err := os.ReadFile(b.file)
	if err != nil {
		return fmt.Errorf("read backends: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	known := map[string]*backend{}
	for _, backend := range b.backends {
		known[backend.address] = backend
	}
	b.backends = nil
	for address := range strings.FieldsSeq(string(content)) {
		if known[address] == nil {
			known[address] = newBackend(address)
		}
		b.backends = append(b.backends, known[address])
	}
	return nil
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	return dialer.DialContext(ctx, "tcp", address)
}
