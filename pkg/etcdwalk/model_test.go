// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdwalk

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// modelled is a member of etcd: what its KV service answers to Range, and how much it works for that.
type modelled struct {
	pb.UnimplementedKVServer

	mu        sync.Mutex
	cluster   uint64
	states    []map[string]string // by revision, the first is revision 1
	written   map[string]int64
	compacted int64
	// applied is as far as a member that lags is, until it is asked linearizably. 0 lags not.
	applied int64
	// exaggerate is by how much the counts are too high.
	exaggerate int64
	// before is called with each request and may fail it, or change what is stored.
	before   func(ctx context.Context, req *pb.RangeRequest) error
	requests []*pb.RangeRequest
	// sorted are the keys of the revision that was read last.
	sorted   []string
	sortedAt int64
	// visited is how many keys of the index were looked at for all requests.
	visited int64
}

func newModelled() *modelled {
	return &modelled{cluster: 7, states: []map[string]string{{}}, written: map[string]int64{}, exaggerate: 1}
}

// GoString keeps values out of what a failed property prints.
func (m *modelled) GoString() string {
	return fmt.Sprintf("%q", slices.Sorted(maps.Keys(m.newest())))
}

// with stores values, each at a revision of its own.
func (m *modelled) with(keys ...string) *modelled {
	for _, key := range keys {
		m.put(key, "v:"+key)
	}
	return m
}

func (m *modelled) put(key, value string) {
	next := m.next()
	next[key] = value
	m.written[key] = m.revision()
}

func (m *modelled) remove(key string) { delete(m.next(), key) }

func (m *modelled) next() map[string]string {
	m.states = append(m.states, maps.Clone(m.newest()))
	return m.newest()
}

// fill stores many values at one revision.
func (m *modelled) fill(keys []string, value string) *modelled {
	next := m.next()
	for _, key := range keys {
		next[key], m.written[key] = value, m.revision()
	}
	return m
}

func (m *modelled) newest() map[string]string { return m.states[len(m.states)-1] }
func (m *modelled) revision() int64           { return int64(len(m.states)) }

// Range answers as go.etcd.io/etcd/server/v3@v3.7.0 storage/mvcc/kvstore_txn.go, rangeKeys.
func (m *modelled) Range(ctx context.Context, req *pb.RangeRequest) (*pb.RangeResponse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests = append(m.requests, proto.CloneOf(req))
	if m.before != nil {
		if err := m.before(ctx, req); err != nil {
			return nil, err
		}
	}
	if !req.GetSerializable() {
		m.applied = 0
	}
	current := m.revision()
	if m.applied > 0 {
		current = m.applied
	}
	at := req.GetRevision()
	switch {
	case at > current:
		return nil, rpctypes.ErrGRPCFutureRev
	case at <= 0:
		at = current
	case at < m.compacted:
		return nil, rpctypes.ErrGRPCCompacted
	}
	resp := &pb.RangeResponse{Header: &pb.ResponseHeader{ClusterId: m.cluster, Revision: current}}
	state := m.states[at-1]
	for _, key := range m.order(at, state) {
		if key < string(req.GetKey()) || string(req.GetRangeEnd()) != "\x00" && key >= string(req.GetRangeEnd()) {
			continue
		}
		m.visited++
		resp.Count += m.exaggerate
		if len(resp.GetKvs()) == int(req.GetLimit()) {
			resp.More = true
			continue
		}
		resp.Kvs = append(resp.Kvs, &mvccpb.KeyValue{Key: []byte(key), Value: []byte(state[key]), ModRevision: m.written[key]})
	}
	return resp, nil
}

func (m *modelled) order(at int64, state map[string]string) []string {
	if m.sortedAt != at {
		m.sorted, m.sortedAt = slices.Sorted(maps.Keys(state)), at
	}
	return m.sorted
}

// direct calls a modelled member without a network. It has gRPC's limit for what is received.
type direct struct{ *modelled }

func (d direct) Range(ctx context.Context, req *pb.RangeRequest, opts ...grpc.CallOption) (*pb.RangeResponse, error) {
	resp, err := d.modelled.Range(ctx, req)
	if ctx.Err() != nil {
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	for _, o := range opts {
		if most, is := o.(grpc.MaxRecvMsgSizeCallOption); is && proto.Size(resp) > most.MaxRecvMsgSize {
			return nil, status.Error(codes.ResourceExhausted, "grpc: received message larger than max (9 vs. 8)")
		}
	}
	return resp, err
}

// clientOf is a client of these members, named m1, m2 and so on.
func clientOf(t require.TestingT, maxRate float64, members ...*modelled) *Client {
	var list []member
	for i, m := range members {
		list = append(list, member{"m" + string(rune('1'+i)), direct{m}, func() error { return nil }})
	}
	c, err := newClient(list, maxRate)
	require.NoError(t, err)
	return c
}

// seen collects what a walk hands over.
type seen struct {
	keys   []string
	values map[string]string
	last   int64
}

func (s *seen) each(key, value []byte, modRevision int64) error {
	if s.values == nil {
		s.values = map[string]string{}
	}
	s.keys = append(s.keys, string(key))
	s.values[string(key)] = string(value)
	s.last = modRevision
	return nil
}

// limits are those of all requests.
func (m *modelled) limits() []int64 {
	var list []int64
	for _, r := range m.requests {
		list = append(list, r.GetLimit())
	}
	return list
}

// under are the keys that begin with the prefix, in order, from one on.
func under(state map[string]string, prefix, from string) []string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(state)) {
		if strings.HasPrefix(key, prefix) && key >= from {
			list = append(list, key)
		}
	}
	return list
}
