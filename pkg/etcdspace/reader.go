// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdspace

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Dialer opens connections to pods in kube-system: controlplane.Forwarder does.
type Dialer interface {
	Dial(ctx context.Context, pod string, port int) (net.Conn, error)
}

const (
	// readTimeout bounds one reading of one member. A Watch reads no other member meanwhile, and then looks further ahead.
	readTimeout = 8 * time.Second
	// keepAlive is how long a connection is kept from one reading to the next.
	keepAlive = 30 * time.Second
)

// Reader reads the room that each member of etcd has, where etcd runs as static pods of the cluster.
type Reader struct {
	client    kubernetes.Interface
	transport *http.Transport
}

// NewReader makes a reader. It sends no request.
func NewReader(client kubernetes.Interface, dialer Dialer) *Reader {
	return &Reader{client: client, transport: &http.Transport{
		// The host of a URL is a pod's name.
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			pod, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			number, err := strconv.Atoi(port)
			if err != nil {
				return nil, err
			}
			return dialer.Dial(ctx, pod, number)
		},
		IdleConnTimeout: keepAlive,
	}}
}

// Read lists the members and reads each of them. A member that can't be read is part of the answer; the error is that
// the members could not be listed. It needs list on pods and create on pods/portforward, both in kube-system.
func (r *Reader) Read(ctx context.Context) (Reading, error) {
	pods, err := r.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: memberSelector})
	if err != nil {
		return Reading{}, fmt.Errorf("list etcd pods: %w", err)
	}
	members := slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool {
		_, mirror := p.Annotations[mirrorAnnotation]
		return !mirror // a mirror pod is that of a static pod; any other only looks like one
	})
	spaces := make([]Space, len(members))
	failures := make([]error, len(members))
	var g errgroup.Group
	for i := range members {
		g.Go(func() error {
			spaces[i], failures[i] = r.member(ctx, readMember(&members[i]))
			return nil
		})
	}
	_ = g.Wait() // each failure is kept with its member
	var reading Reading
	for i := range members {
		if failures[i] != nil {
			reading.Unread = append(reading.Unread, Unread{Member: members[i].Spec.NodeName, Err: failures[i]})
			continue
		}
		reading.Members = append(reading.Members, spaces[i])
	}
	slices.SortFunc(reading.Members, func(a, b Space) int { return cmp.Compare(a.Member, b.Member) })
	slices.SortFunc(reading.Unread, func(a, b Unread) int { return cmp.Compare(a.Member, b.Member) })
	return reading, nil
}

// member reads one member.
func (r *Reader) member(ctx context.Context, m member) (Space, error) {
	if m.err != nil {
		return Space{}, m.err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	at := url.URL{Scheme: "http", Host: net.JoinHostPort(m.pod, strconv.Itoa(m.port)), Path: "/metrics"}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return Space{}, fmt.Errorf("make request: %w", err)
	}
	resp, err := r.transport.RoundTrip(req)
	if err != nil {
		return Space{}, fmt.Errorf("fetch metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return Space{}, fmt.Errorf("fetch metrics: it answers %s", resp.Status)
	}
	s, err := ParseMember(resp.Body)
	s.Member = m.node
	return s, err
}

// Close ends the connections that are kept.
func (r *Reader) Close() { r.transport.CloseIdleConnections() }
