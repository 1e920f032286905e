// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package bare

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/encryption"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/state"
)

// The names of the etcds, and of their folders.
const (
	firstEtcd  = "etcd"
	secondEtcd = "etcd-2"
)

// newState describes the control plane to be, with ports that are free now.
func newState(ctx context.Context, dir string, options Options, binary string) (*state.Bare, error) {
	etcd, err := newEtcd(ctx, firstEtcd)
	if err != nil {
		return nil, err
	}
	secure, err := freePort(ctx, options.APIServers)
	if err != nil {
		return nil, err
	}
	bare := &state.Bare{
		Shape: options.shape(), Dir: dir, Kubeconfig: filepath.Join(dir, "kubeconfig"), Binary: binary,
		Etcd: *etcd,
	}
	if len(options.EtcdOverrides) > 0 {
		if bare.SecondEtcd, err = newEtcd(ctx, secondEtcd); err != nil {
			return nil, err
		}
	}
	for number := 1; number <= options.APIServers; number++ {
		bare.APIServers = append(bare.APIServers, newAPIServer(bare, number, secure))
	}
	return bare, nil
}

func newEtcd(ctx context.Context, name string) (*state.Etcd, error) {
	client, err := freePort(ctx, 1)
	if err != nil {
		return nil, err
	}
	peer, err := freePort(ctx, 1)
	if err != nil {
		return nil, err
	}
	return &state.Etcd{
		Name:     name,
		Endpoint: "http://" + net.JoinHostPort(loopback(1), client),
		Peer:     "http://" + net.JoinHostPort(loopback(1), peer),
	}, nil
}

func newAPIServer(bare *state.Bare, number int, port string) *state.APIServer {
	name := fmt.Sprintf("apiserver-%d", number)
	address := net.JoinHostPort(loopback(number), port)
	server := &state.APIServer{
		Name: name, URL: "https://" + address, Address: address,
		Kubeconfig: filepath.Join(bare.Dir, "kubeconfig-"+name),
		Log:        filepath.Join(bare.Dir, name, "log"),
	}
	if bare.Encryption != encryption.None {
		server.EncryptionConfig = filepath.Join(bare.Dir, name, "encryption", "config.yaml")
	}
	if bare.Audit {
		server.AuditLog = filepath.Join(bare.Dir, name, "audit.log")
	}
	return server
}

// loopback is the address of an instance. Each has one of its own and all have
// the same port: instances that differ in their port would take turns for ever
// in correcting the one port of the kubernetes Service.
func loopback(number int) string {
	return fmt.Sprintf("127.0.0.%d", number)
}

// advertised is the address under which the kubernetes Service lists an
// instance, which may not be a loopback one. It is one of those reserved for
// documentation (RFC 5737): nobody connects to it.
func advertised(number int) string {
	return fmt.Sprintf("198.51.100.%d", number)
}

// freePort returns a port that is free on this many loopback addresses.
func freePort(ctx context.Context, addresses int) (string, error) {
	const attempts = 20
	for range attempts {
		if port, err := tryPort(ctx, addresses); err == nil {
			return strconv.Itoa(port), nil
		}
	}
	return "", errors.New("find free port: there is none")
}

func tryPort(ctx context.Context, addresses int) (int, error) {
	port := 0
	for number := 1; number <= addresses; number++ {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(loopback(number), strconv.Itoa(port)))
		if err != nil {
			return 0, err
		}
		defer func() { _ = listener.Close() }()
		port = listener.Addr().(*net.TCPAddr).Port
	}
	return port, nil
}
