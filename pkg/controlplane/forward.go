// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// Forwarder opens connections to pods through the API server, as kubectl port-forward does, without a local port.
type Forwarder struct {
	config   *rest.Config
	client   rest.Interface
	requests atomic.Int64
}

// NewForwarder makes a forwarder that asks with the given configuration.
func NewForwarder(config *rest.Config, client kubernetes.Interface) *Forwarder {
	return &Forwarder{config: config, client: client.CoreV1().RESTClient()}
}

// Dial opens a connection to a port of a pod in kube-system.
func (f *Forwarder) Dial(ctx context.Context, pod string, port int) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	// The stream libraries take no context, so the caller's is watched from outside.
	done := make(chan result, 1)
	go func() {
		conn, err := f.dial(pod, port)
		done <- result{conn, err}
	}()
	select {
	case r := <-done:
		return r.conn, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.conn != nil {
				_ = r.conn.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

func (f *Forwarder) dial(pod string, port int) (net.Conn, error) {
	dialer, err := f.dialer(pod)
	if err != nil {
		return nil, err
	}
	stream, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, fmt.Errorf("port-forward to pod %s: %w", pod, err)
	}
	conn, err := f.open(stream, pod, port)
	if err != nil {
		_ = stream.Close()
		return nil, err
	}
	return conn, nil
}

// dialer prefers WebSockets and falls back to SPDY, as kubectl does.
func (f *Forwarder) dialer(pod string) (httpstream.Dialer, error) {
	url := f.client.Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(f.config)
	if err != nil {
		return nil, fmt.Errorf("prepare port-forward: %w", err)
	}
	old := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	modern, err := portforward.NewSPDYOverWebsocketDialerForStreaming(url, f.config)
	if err != nil {
		return nil, fmt.Errorf("prepare port-forward: %w", err)
	}
	return portforward.NewFallbackDialerForStreaming(modern, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}

// open makes the two streams of one forwarded connection: one for what goes wrong, one for the bytes.
func (f *Forwarder) open(stream httpstream.Connection, pod string, port int) (net.Conn, error) {
	headers := http.Header{}
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	headers.Set(corev1.PortHeader, strconv.Itoa(port))
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.FormatInt(f.requests.Add(1), 10))
	failures, err := stream.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("port-forward to pod %s: %w", pod, err)
	}
	_ = failures.Close() // nothing is written to it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := stream.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("port-forward to pod %s: %w", pod, err)
	}
	conn := &forwarded{data: data, stream: stream, pod: pod, failed: make(chan error, 1)}
	go conn.watch(failures)
	return conn, nil
}

// forwarded is one forwarded connection. Its deadlines do nothing: the requests over it carry contexts.
type forwarded struct {
	data   httpstream.Stream
	stream httpstream.Connection
	pod    string
	failed chan error
}

// watch reads what the kubelet has to say about the connection and ends the connection with it.
func (c *forwarded) watch(failures io.Reader) {
	const enough = 4096
	message, err := io.ReadAll(io.LimitReader(failures, enough))
	if err == nil && len(message) > 0 {
		c.failed <- fmt.Errorf("port-forward to pod %s: %s", c.pod, message)
		_ = c.stream.Close()
	}
}

// Read implements net.Conn.
func (c *forwarded) Read(b []byte) (int, error) {
	n, err := c.data.Read(b)
	return n, c.explain(err)
}

// Write implements net.Conn.
func (c *forwarded) Write(b []byte) (int, error) {
	n, err := c.data.Write(b)
	return n, c.explain(err)
}

// explain puts the kubelet's reason in the place of a bare end.
func (c *forwarded) explain(err error) error {
	if err == nil {
		return nil
	}
	select {
	case reason := <-c.failed:
		return errors.Join(reason, err)
	default:
		return err
	}
}

// Close implements net.Conn.
func (c *forwarded) Close() error {
	_ = c.data.Reset()
	return c.stream.Close()
}

// LocalAddr implements net.Conn.
func (c *forwarded) LocalAddr() net.Addr { return podAddr("local") }

// RemoteAddr implements net.Conn.
func (c *forwarded) RemoteAddr() net.Addr { return podAddr(c.pod) }

// SetDeadline implements net.Conn.
func (c *forwarded) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (c *forwarded) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (c *forwarded) SetWriteDeadline(time.Time) error { return nil }

type podAddr string

// Network implements net.Addr.
func (podAddr) Network() string { return "port-forward" }

// String implements net.Addr.
func (a podAddr) String() string { return string(a) }
