// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdwalk

import (
	"errors"
	"net"
	"net/url"
	"strings"
)

// security is whether an endpoint speaks TLS.
type security int

const (
	// ifConfigured is with TLS if any file of it is given, as kube-apiserver does for an address without a scheme.
	ifConfigured security = iota
	always
	never
)

var errNoAddress = errors.New("it is no host and port")

// endpoint is where a member answers clients.
type endpoint struct {
	// name is for people: the address, without what a URL may hold beside it.
	name string
	// target is gRPC's.
	target   string
	security security
}

// parseEndpoint reads an address as --etcd-servers gives it, by the rules of etcd's own client (go.etcd.io/etcd/client/v3@v3.7.0
// internal/endpoint/endpoint.go, translateEndpoint). Errors do not quote it: a URL may hold a password.
func parseEndpoint(text string) (endpoint, error) {
	scheme, rest, hasScheme := strings.Cut(text, "://")
	if !hasScheme {
		scheme, rest = "", text
	}
	switch scheme {
	case "unix":
		return endpoint{name: "unix:" + rest, target: "unix:" + rest}, nil
	case "", "http", "https":
	default:
		return endpoint{}, errors.New("only https, http and unix are known")
	}
	u, err := url.Parse("//" + rest)
	if err != nil {
		return endpoint{}, errNoAddress
	}
	if host, port, err := net.SplitHostPort(u.Host); err != nil || host == "" || port == "" {
		return endpoint{}, errNoAddress
	}
	e := endpoint{name: u.Host, target: "passthrough:///" + u.Host}
	switch scheme {
	case "https":
		e.security = always
	case "http":
		e.security = never
	}
	return e, nil
}
