// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdwalk

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

const (
	// answerTimeout is how long a member may take for a page, the connection to it included.
	answerTimeout = 10 * time.Second
	// connectTimeout is how long one attempt to connect may take.
	connectTimeout = 5 * time.Second
	// reconnectDelay is between two attempts to connect at most.
	reconnectDelay = time.Second
)

// Config says where etcd is.
type Config struct {
	// Endpoints as kube-apiserver's --etcd-servers gives them. They must be members of one etcd.
	Endpoints []string
	Files     Files
	// MaxRate is in values per second over all walks of the client. 0 is no limit.
	MaxRate float64
}

// ranger is what is needed of a member: pb.KVClient has it.
type ranger interface {
	Range(ctx context.Context, in *pb.RangeRequest, opts ...grpc.CallOption) (*pb.RangeResponse, error)
}

// member is an etcd that answers clients.
type member struct {
	name  string
	kv    ranger
	close func() error
}

// Client walks one etcd, one walk at a time.
type Client struct {
	members []member
	// at is the member that is asked.
	at int
	// cluster is the identifier of the etcd that answered first, 0 before.
	cluster uint64
	// limiter is nil without a limit, owed what the last page came to.
	limiter *rate.Limiter
	owed    int
	maxRate float64
}

// Open prepares a client and reads the files. It does not connect.
func Open(c Config) (*Client, error) {
	if len(c.Endpoints) == 0 {
		return nil, errors.New("no endpoint of etcd is given")
	}
	config, err := c.Files.tls()
	if err != nil {
		return nil, err
	}
	client, err := newClient(nil, c.MaxRate)
	if err != nil {
		return nil, err
	}
	for i, text := range c.Endpoints {
		e, err := parseEndpoint(text)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("endpoint %d of etcd can't be used: %w", i+1, err), client.Close())
		}
		conn, err := grpc.NewClient(e.target,
			grpc.WithTransportCredentials(transport(e, config)),
			grpc.WithNoProxy(), grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(),
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: reconnectDelay / 4, Multiplier: 2, MaxDelay: reconnectDelay},
				MinConnectTimeout: connectTimeout,
			}))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("etcd at %s: %w", e.name, err), client.Close())
		}
		client.members = append(client.members, member{e.name, pb.NewKVClient(conn), conn.Close})
	}
	return client, nil
}

func newClient(members []member, maxRate float64) (*Client, error) {
	c := &Client{members: members, maxRate: maxRate}
	switch {
	case math.IsNaN(maxRate) || math.IsInf(maxRate, 0) || maxRate < 0:
		return nil, errors.New("the limit of the rate is not a number of values per second")
	case maxRate > 0:
		burst := newSizer(maxRate).most
		c.limiter = rate.NewLimiter(rate.Limit(maxRate), burst)
		c.limiter.AllowN(time.Now(), burst) // a walk begins with no credit
	}
	return c, nil
}

// pace waits until the page before is paid for.
func (c *Client) pace(ctx context.Context) error {
	if c.limiter == nil || c.owed == 0 {
		return nil
	}
	if err := c.limiter.WaitN(ctx, c.owed); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return context.DeadlineExceeded // it would be over before its turn
	}
	c.owed = 0
	return nil
}

// Close ends the connections.
func (c *Client) Close() error {
	var errs []error
	for _, m := range c.members {
		errs = append(errs, m.close())
	}
	return errors.Join(errs...)
}

// ask reads a page from the member whose turn it is.
func (c *Client) ask(ctx context.Context, req *pb.RangeRequest) (*pb.RangeResponse, error) {
	resp, err := c.members[c.at].ask(ctx, req)
	if err != nil {
		return nil, err
	}
	switch cluster := resp.GetHeader().GetClusterId(); c.cluster {
	case 0:
		c.cluster = cluster
	case cluster:
	default:
		return nil, errors.New("it belongs to another etcd than the endpoint that answered first")
	}
	return resp, nil
}
