// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/reload"
)

// serverName is a name that every kube-apiserver's certificate carries
// (k8s.io/kubernetes@v1.37.1 cmd/kubeadm/app/util/pkiutil/pki_helpers.go).
const serverName = "kubernetes.default.svc"

// Reacher talks to each kube-apiserver on its own, with the caller's credentials, through port-forwards: which
// kube-apiserver a balancer picks plays no part, since TLS ends at the one that was named.
type Reacher struct {
	config  *rest.Config
	forward *Forwarder

	mu      sync.Mutex
	clients map[string]*http.Client
}

// NewReacher makes a reacher.
func NewReacher(config *rest.Config, client kubernetes.Interface) *Reacher {
	return &Reacher{config: config, forward: NewForwarder(config, client), clients: map[string]*http.Client{}}
}

// Evidence fetches the metrics of one kube-apiserver and reads them. It is an error if another one than the
// instance's answers.
func (r *Reacher) Evidence(ctx context.Context, in Instance) (reload.Evidence, error) {
	var e reload.Evidence
	err := r.Metrics(ctx, in, func(body io.Reader) (err error) {
		e, err = reload.Parse(body)
		return err
	})
	if err != nil {
		return reload.Evidence{}, err
	}
	if e.IDHash != "" && in.IDHash != "" && e.IDHash != in.IDHash {
		return reload.Evidence{}, fmt.Errorf("the kube-apiserver reached on node %s is not the one whose Lease says so", in.Node)
	}
	return e, nil
}

// Metrics has the metrics of one kube-apiserver read as they stream in.
func (r *Reacher) Metrics(ctx context.Context, in Instance, read func(io.Reader) error) error {
	body, err := r.get(ctx, in, "/metrics")
	if err != nil {
		return fmt.Errorf("fetch metrics of the kube-apiserver on node %s: %w", in.Node, err)
	}
	defer body.Close()
	if err := read(body); err != nil {
		return fmt.Errorf("kube-apiserver on node %s: %w", in.Node, err)
	}
	return nil
}

// requestTimeout bounds one request to one instance.
const requestTimeout = 30 * time.Second

func (r *Reacher) get(ctx context.Context, in Instance, path string) (io.ReadCloser, error) {
	client, err := r.client(in)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+in.Node+path, nil)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("make request: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		cancel()
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		cancel()
		return nil, fmt.Errorf("it answers %s", resp.Status)
	}
	return &cancelling{resp.Body, cancel}, nil
}

// cancelling ends a request's context with its body.
type cancelling struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close implements io.Closer.
func (c *cancelling) Close() error {
	defer c.cancel()
	return c.ReadCloser.Close()
}

func (r *Reacher) client(in Instance) (*http.Client, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := r.clients[in.Pod]; ok {
		return c, nil
	}
	c, err := rest.HTTPClientFor(r.forwarded(in))
	if err != nil {
		return nil, fmt.Errorf("make client for the kube-apiserver on node %s: %w", in.Node, err)
	}
	r.clients[in.Pod] = c
	return c, nil
}

// forwarded is a configuration whose requests reach the instance by port-forward.
func (r *Reacher) forwarded(in Instance) *rest.Config {
	config := r.alone(in.Node)
	config.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return r.forward.Dial(ctx, in.Pod, in.Manifest.SecurePort)
	}
	return config
}

// alone is the caller's configuration for another host, without any way around it.
func (r *Reacher) alone(host string) *rest.Config {
	config := rest.CopyConfig(r.config)
	config.Host = "https://" + host
	config.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil } // a forward has gone through it already
	config.Dial = nil
	if !config.Insecure {
		config.ServerName = serverName
	}
	return config
}

// Close ends all connections.
func (r *Reacher) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.clients {
		c.CloseIdleConnections()
	}
}
