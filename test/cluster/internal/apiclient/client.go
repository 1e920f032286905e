// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apiclient asks a kube-apiserver the few things that the harness
// wants to know: it is ready when what it reads here says so.
package apiclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubeconfig"
)

// Client talks to one kube-apiserver.
type Client struct {
	server string
	http   *http.Client
}

// New returns a client with the credentials of a kubeconfig.
func New(config kubeconfig.Config) (*Client, error) {
	certificate, err := tls.X509KeyPair(config.Certificate, config.Key)
	if err != nil {
		return nil, fmt.Errorf("read client certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(config.CA) {
		return nil, errors.New("read certificate authority: no certificate in it")
	}
	return &Client{server: config.Server, http: &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		},
	}}, nil
}

// Get reads path, and decodes what comes back into result unless that is nil.
func (c *Client) Get(ctx context.Context, path string, result any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server+path, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask for %s: %w", path, err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("ask for %s: %w", path, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("ask for %s: %w", path, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask for %s: %s: %s", path, response.Status, strings.TrimSpace(string(body)))
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(body, result); err != nil {
		return fmt.Errorf("ask for %s: %w", path, err)
	}
	return nil
}
