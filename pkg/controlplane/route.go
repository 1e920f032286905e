// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"crypto/tls"
	"net"
	"strconv"
	"time"

	"k8s.io/client-go/rest"
)

// routeTimeout is how long an address may take to show that it leads to a kube-apiserver of this cluster.
const routeTimeout = 2 * time.Second

// dialTimeout is how long a connection may take later. client-go's 30 s are long for a node that was switched off, while
// others wait.
const dialTimeout = 5 * time.Second

// Route is a configuration whose requests reach one instance, for many requests: straight to its address where that
// can be connected to, else by port-forward. Which it is, is tried here, with a TLS handshake that only a kube-apiserver
// of this cluster passes: networks overlap, and an address may lead elsewhere.
func (r *Reacher) Route(ctx context.Context, in Instance) (config *rest.Config, direct bool) {
	address := net.JoinHostPort(in.Address, strconv.Itoa(in.Manifest.SecurePort))
	config = r.alone(address)
	if in.Address == "" || config.Insecure || !answers(ctx, config, address) {
		return r.forwarded(in), false
	}
	config.Dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	return config, true
}

// Answers tells whether a kube-apiserver can be seen to run: it completes a TLS handshake at its address, or answers by
// port-forward. False is no proof that it does not: it may be out of reach.
func (r *Reacher) Answers(ctx context.Context, in Instance) bool {
	if _, direct := r.Route(ctx, in); direct {
		return true
	}
	if in.Pod == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	_, err := r.Evidence(ctx, in)
	return err == nil
}

func answers(ctx context.Context, config *rest.Config, address string) bool {
	settings, err := rest.TLSConfigFor(config)
	if err != nil || settings == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	conn, err := (&tls.Dialer{Config: settings}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}
