// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package proxy stands before a real kube-apiserver and does to requests what bad networks, load balancers and ailing
// servers do to them.
//
// Rules of the package:
//
//  1. What no rule matches passes unchanged, upgraded connections (attach, port-forward) included.
//  2. The first rule that matches a request and has attempts left decides about it, alone.
//  3. Each fault is counted under its name when it has happened, so that a test can require that it did.
//  4. A fault that loses an answer loses it after the server has given the whole of it: what was asked for was done.
package proxy

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Proxy is a running proxy. It is safe for use by several goroutines.
type Proxy struct {
	// URL is where it listens, on the loopback with TLS.
	URL string

	server *httptest.Server
	pass   http.Handler
	// user is who the proxy asks as, and the server's certificate authority, in PEM.
	user rest.TLSClientConfig

	mu       sync.Mutex
	rules    []*rule
	requests int
	happened map[string]int
	open     map[net.Conn]bool
}

// Start begins to pass requests on to the server that a configuration leads to, as the user that it names. Whoever starts
// a proxy closes it.
func Start(to *rest.Config) (*Proxy, error) {
	to = rest.CopyConfig(to)
	upstream, _, err := rest.DefaultServerUrlFor(to)
	if err != nil {
		return nil, fmt.Errorf("read the server's address: %w", err)
	}
	tlsConfig, err := rest.TLSConfigFor(to)
	if err != nil {
		return nil, fmt.Errorf("read the server's certificates: %w", err)
	}
	if err := rest.LoadTLSFiles(to); err != nil {
		return nil, fmt.Errorf("read the server's certificate authority: %w", err)
	}
	p := &Proxy{user: to.TLSClientConfig, happened: map[string]int{}, open: map[net.Conn]bool{}}
	p.pass = passing(upstream, tlsConfig)
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	p.server.EnableHTTP2 = true // as kube-apiserver does
	p.server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connection{}, c)
	}
	p.server.Config.ErrorLog = silence() // connections that are cut on purpose
	p.server.Config.ConnState = p.follow
	p.server.StartTLS()
	p.URL = p.server.URL
	return p, nil
}

// passing hands requests on over HTTP/1.1, the only version that can be upgraded, and answers as they come in.
func passing(upstream *url.URL, tlsConfig *tls.Config) http.Handler {
	const many = 256
	return &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(upstream) },
		Transport:     &http.Transport{TLSClientConfig: tlsConfig, MaxIdleConnsPerHost: many},
		FlushInterval: -1,
		ErrorLog:      silence(),
		ErrorHandler:  func(_ http.ResponseWriter, r *http.Request, _ error) { cut(r) }, // as if it were not there
	}
}

// silence is for what packages of the standard library would say of broken connections.
func silence() *log.Logger { return log.New(io.Discard, "", 0) } //nolint:forbidigo // net/http wants one of these

// connection is the key of a request's connection in its context.
type connection struct{}

func (p *Proxy) follow(c net.Conn, state http.ConnState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch state {
	case http.StateNew:
		p.open[c] = true
	case http.StateClosed:
		delete(p.open, c)
	case http.StateActive, http.StateIdle, http.StateHijacked:
	}
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	fault := p.decide(r)
	if fault.do == nil {
		p.pass.ServeHTTP(w, r)
		return
	}
	p.count(fault.name)
	fault.do(w, r, p.pass)
}

func (p *Proxy) count(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.happened[name]++
}

// decide is rule 2.
func (p *Proxy) decide(r *http.Request) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	for _, rule := range p.rules {
		if rule.takes(r) {
			return rule.Fault
		}
	}
	return Fault{}
}

// Inject replaces all rules; without any, everything passes.
func (p *Proxy) Inject(rules ...Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = nil
	for _, r := range rules {
		p.rules = append(p.rules, &rule{Rule: r})
	}
}

// CutAll breaks every connection there is, upgraded ones included, and returns how many there were.
func (p *Proxy) CutAll() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	cut := len(p.open)
	for c := range p.open {
		reset(c)
		delete(p.open, c)
	}
	p.happened["all connections cut"] += cut
	return cut
}

// Happened is how often each fault has happened, by name.
func (p *Proxy) Happened() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.happened)
}

// Faults is how many faults have happened.
func (p *Proxy) Faults() (sum int) {
	for _, times := range p.Happened() {
		sum += times
	}
	return sum
}

// Requests is how many requests have come in.
func (p *Proxy) Requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

// Close ends the proxy and all connections to it.
func (p *Proxy) Close() {
	p.Inject()
	p.CutAll()
	p.server.Close()
}

// CA is the certificate by which the proxy proves itself, in PEM.
func (p *Proxy) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
}

// Config is how to reach the proxy. Who asks it need not say who they are.
func (p *Proxy) Config() *rest.Config {
	return &rest.Config{Host: p.URL, TLSClientConfig: rest.TLSClientConfig{CAData: p.CA()}, QPS: -1}
}

// Kubeconfig writes a kubeconfig that leads to the proxy into a folder, and gives its path. It has the server's own certificate
// authority and the user's certificate too, for connections that end in the server: those of port-forwards.
func (p *Proxy) Kubeconfig(folder string) (string, error) {
	const name = "proxy"
	path := filepath.Join(folder, "kubeconfig-"+name)
	err := clientcmd.WriteToFile(api.Config{
		Clusters: map[string]*api.Cluster{name: {Server: p.URL, CertificateAuthorityData: append(p.CA(), p.user.CAData...)}},
		AuthInfos: map[string]*api.AuthInfo{name: {
			ClientCertificateData: p.user.CertData, ClientKeyData: p.user.KeyData,
		}},
		Contexts:       map[string]*api.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}, path)
	if err != nil {
		return "", fmt.Errorf("write kubeconfig: %w", err)
	}
	return path, nil
}
