// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdwalk"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/seal"
)

// Options say on which node an agent works, and with what.
type Options struct {
	// Node is the name of the node.
	Node string
	// Run identifies the run that the agent belongs to.
	Run string
	// ConfigDir is the folder of the configuration file, ConfigName the file's name in it.
	ConfigDir, ConfigName string
	// HistoryDir is the folder of the history. It must exist before anything is installed.
	HistoryDir string
	// ManifestDir is the folder of the node's static pods, ManifestName the file in it that runs kube-apiserver. Where
	// the folder is not there, the agent has nothing to do with manifests.
	ManifestDir, ManifestName string
	// Etcd are the files by which kube-apiserver reaches etcd. One that is not there is not used.
	Etcd etcdwalk.Files
	// SnapDir and WALDir are the folders of the node's member of etcd, which are only there to be searched.
	SnapDir, WALDir string
	// Idle is how long to wait for a request before the agent ends, 0 for ever.
	Idle time.Duration
	// Owner is the user that must own the files: 0, but in tests.
	Owner int
	// Now is the node's clock.
	Now func() time.Time
	// Random is where new keys come from.
	Random io.Reader
}

// Server answers requests on one node.
type Server struct {
	Options

	identity *seal.Identity
	// recordAs is the run that an installation is recorded under, where that is not the run that it was sealed for.
	recordAs string
	// before is nil outside tests, see folder.
	before func(operation) error

	// etcd is kept from one request to the next.
	etcd connection
}

// runPattern is what a run may be called: it becomes a part of file names and a label.
const runPattern = `[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?`

var (
	runName    = regexp.MustCompile(`^` + runPattern + `$`)
	nodeName   = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$`)
	configName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
)

// New makes a server with an identity of its own, which is gone when the process ends.
func New(o Options) (*Server, error) {
	switch {
	case !nodeName.MatchString(o.Node):
		return nil, fmt.Errorf("%q is not the name of a node", o.Node)
	case !runName.MatchString(o.Run):
		return nil, fmt.Errorf("%q is not the identifier of a run", o.Run)
	case !configName.MatchString(o.ConfigName):
		return nil, fmt.Errorf("%q is not the name of a configuration file", o.ConfigName)
	}
	identity, err := seal.NewIdentity()
	if err != nil {
		return nil, err
	}
	return &Server{Options: o, identity: identity, etcd: connection{open: openEtcd}}, nil
}

// Serve answers the requests that it reads, one at a time, until the input ends or no request comes for as long as Idle. It also ends when ctx does, after
// the request that it works on; the goroutine that waits for input then stays until the input ends.
func (s *Server) Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer s.etcd.close()
	lines := readLines(ctx, in)
	for {
		var idle <-chan time.Time
		if s.Idle > 0 {
			idle = time.After(s.Idle)
		}
		var l line
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-idle:
			return nil
		case l = <-lines:
		}
		if errors.Is(l.err, io.EOF) {
			return nil
		}
		if l.err != nil && !errors.Is(l.err, errTooLong) {
			return fmt.Errorf("read request: %w", l.err)
		}
		if _, err := out.Write(encode(s.answer(ctx, l))); err != nil {
			return fmt.Errorf("write response: %w", err)
		}
	}
}

// answer gives the response to one line, whatever the line is.
func (s *Server) answer(ctx context.Context, l line) (resp agentapi.Response) {
	resp = agentapi.Response{Version: agentapi.Version, Node: s.Node, Run: s.Run}
	defer func() {
		if recover() != nil {
			// What was panicked with may quote what was worked on, so it is not even looked at.
			resp.Error = &agentapi.Error{Code: agentapi.Invalid, Message: "the agent can't deal with this configuration or request"}
		}
	}()
	req, err := parseRequest(l)
	if err != nil {
		resp.Error = coded(err, agentapi.BadRequest)
		return resp
	}
	resp.Op = req.Op
	switch req.Op {
	case agentapi.Probe:
		err = s.probe()
	case agentapi.Propose:
		resp.Proposed, err = s.propose(*req.Propose)
	case agentapi.Install:
		err = s.install(*req.Install)
	case agentapi.Forget:
		err = s.forget(*req.Forget)
	case agentapi.Export:
		resp.Exported, err = s.export(*req.Export)
	case agentapi.Compose:
		resp.Composed, err = s.compose(*req.Compose)
	case agentapi.CheckEdit:
		err = s.checkEdit(*req.Edit)
	case agentapi.EditManifest:
		err = s.editManifest(*req.Edit)
	case agentapi.Count:
		resp.Counted, err = s.count(ctx, *req.Count)
	case agentapi.Search:
		resp.Searched, err = s.search(ctx, *req.Search)
	}
	if err != nil {
		resp.Error = coded(err, agentapi.Unreadable)
	}
	if req.Op != agentapi.Count && req.Op != agentapi.Search {
		resp.State = s.state()
	}
	return resp
}
