// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"os"
	"reflect"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdwalk"
)

// overtime is how long after the time for a request is over the page that it waits for may still take.
const overtime = 5 * time.Second

// walker reads one etcd.
type walker interface {
	Walk(ctx context.Context, o etcdwalk.Options, each etcdwalk.Each) (etcdwalk.Result, error)
	Close() error
}

// connection is the way to the etcd that was asked last.
type connection struct {
	open   func(etcdwalk.Config) (walker, error)
	walker walker
	config etcdwalk.Config
}

func openEtcd(c etcdwalk.Config) (walker, error) {
	client, err := etcdwalk.Open(c)
	if err != nil {
		return nil, err
	}
	return client, nil
}

// to gives the way to an etcd, and ends that to another one.
func (c *connection) to(config etcdwalk.Config) (walker, error) {
	if c.walker != nil && reflect.DeepEqual(c.config, config) {
		return c.walker, nil
	}
	c.close()
	w, err := c.open(config)
	if err != nil {
		return nil, failf(agentapi.Unreachable, "etcd can't be read: %v", err)
	}
	c.walker, c.config = w, config
	return w, nil
}

func (c *connection) close() {
	if c.walker == nil {
		return
	}
	_ = c.walker.Close() // nothing was written that could be lost
	c.walker = nil
}

// there are the files that the agent was given.
func there(f etcdwalk.Files) etcdwalk.Files {
	for _, file := range []*string{&f.CA, &f.Cert, &f.Key} {
		if _, err := os.Stat(*file); err != nil {
			*file = ""
		}
	}
	return f
}

// count walks etcd and tells how many values are stored under which key. It changes nothing. What was counted when etcd ceased to
// answer is told like anything else: going on from there shows whether etcd is back.
func (s *Server) count(ctx context.Context, c agentapi.Counting) (*agentapi.Counted, error) {
	layout, err := etcdkey.NewLayout(c.Prefix, c.Servers, c.Overrides)
	if err != nil {
		return nil, failf(agentapi.BadRequest, "%v", err)
	}
	doc, err := s.countedBy(c.Config)
	if err != nil {
		return nil, err
	}
	t, prefix := newTeller(layout, doc, c), layout.Root()
	place := etcdkey.Resource{Grouped: true} // no override moves what is asked for by no name
	if c.Resource.Name != "" {
		place, prefix = c.Resource, layout.Prefix(c.Resource)
		if err := t.expect(c.Resource); err != nil {
			return nil, err
		}
	}
	servers, _ := layout.Servers(place)
	w, err := s.etcd.to(etcdwalk.Config{Endpoints: servers, Files: there(s.Etcd), MaxRate: c.MaxRate})
	if err != nil {
		return nil, err
	}
	within := c.Within
	if within == 0 {
		within = agentapi.MaxWithin
	}
	walking, stop := context.WithTimeout(ctx, agentapi.MaxWithin+overtime)
	defer stop()
	result, err := w.Walk(walking, etcdwalk.Options{
		Prefix: []byte(prefix), From: c.From, Revision: c.Revision, Within: within,
	}, t.take)
	switch {
	case err == nil || errors.Is(err, errFull):
	case t.failure != nil:
		return nil, t.failure
	case ctx.Err() != nil || result.Count == 0:
		return nil, failf(agentapi.Unreachable, "etcd can't be read: %v", err)
	}
	return &agentapi.Counted{
		Tallies: t.tallies(), Next: result.Next, Done: result.Done, Revision: result.Revision,
		Count: result.Count, Compactions: result.Compactions,
	}, nil
}

// countedBy is the configuration by which is counted, nil for none.
func (s *Server) countedBy(digest string) (*encconfig.Document, error) {
	if digest == "" {
		return nil, nil //nolint:nilnil // no configuration is not an error
	}
	return s.expected(digest)
}
