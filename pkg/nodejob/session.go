// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package nodejob

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// Session is a conversation with the agent on one node. It is not safe for use by several goroutines.
type Session struct {
	node, run string
	stdin     *io.PipeWriter
	lines     chan line
	cancel    context.CancelFunc
	ended     chan struct{}
}

type line struct {
	text []byte
	err  error
}

// farewell is how long an agent may take to end after its input has.
const farewell = 5 * time.Second

// answerTimeout bounds one request: the agent's work takes milliseconds, a slow disk seconds.
const answerTimeout = time.Minute

// attach opens the agent's streams.
func attach(ctx context.Context, config *rest.Config, client rest.Interface, pod, node, run string) (*Session, error) {
	url := client.Post().Resource("pods").Namespace(project.Namespace).Name(pod).SubResource("attach").
		VersionedParams(&corev1.PodAttachOptions{Container: containerName, Stdin: true, Stdout: true}, scheme.ParameterCodec).URL()
	old, err := remotecommand.NewSPDYExecutor(config, http.MethodPost, url)
	if err != nil {
		return nil, fmt.Errorf("prepare attach: %w", err)
	}
	modern, err := remotecommand.NewWebSocketExecutor(config, http.MethodGet, url.String())
	if err != nil {
		return nil, fmt.Errorf("prepare attach: %w", err)
	}
	executor, err := remotecommand.NewFallbackExecutor(modern, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	if err != nil {
		return nil, fmt.Errorf("prepare attach: %w", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	s := &Session{node: node, run: run, stdin: inW, lines: make(chan line), cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		err := executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: inR, Stdout: outW})
		if err == nil {
			err = io.EOF
		}
		_ = outW.CloseWithError(err)
		_ = inR.CloseWithError(err)
	}()
	go s.read(ctx, outR)
	return s, nil
}

// read hands the agent's lines on until the session ends.
func (s *Session) read(ctx context.Context, r io.Reader) {
	scanner := bufio.NewScanner(r)
	const first = 64 << 10
	scanner.Buffer(make([]byte, 0, first), agentapi.MaxLine)
	for scanner.Scan() {
		if !s.deliver(ctx, line{text: append([]byte(nil), scanner.Bytes()...)}) {
			return
		}
	}
	err := scanner.Err()
	if err == nil {
		err = io.EOF
	}
	s.deliver(ctx, line{err: err})
}

func (s *Session) deliver(ctx context.Context, l line) bool {
	select {
	case s.lines <- l:
		return true
	case <-ctx.Done():
		return false
	}
}

// ErrLost is matched when the conversation with an agent broke off. What the agent was doing then is told by the
// next inspection.
var ErrLost = errors.New("the connection to the agent was lost")

// Ask sends one request and waits for its answer. An error that the agent reports is an *agentapi.Error.
func (s *Session) Ask(ctx context.Context, request agentapi.Request) (*agentapi.Response, error) {
	request.Version = agentapi.Version
	data, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	written := make(chan error, 1)
	go func() {
		_, err := s.stdin.Write(append(data, '\n'))
		written <- err
	}()
	for {
		select {
		case err := <-written:
			if err != nil {
				return nil, fmt.Errorf("node %s: %w: %v", s.node, ErrLost, err)
			}
			written = nil
		case l := <-s.lines:
			if l.err != nil {
				return nil, fmt.Errorf("node %s: %w: %v", s.node, ErrLost, l.err)
			}
			return s.decode(l.text, request.Op)
		case <-ctx.Done():
			return nil, fmt.Errorf("node %s: no answer from the agent: %w", s.node, ctx.Err())
		}
	}
}

func (s *Session) decode(text []byte, op agentapi.Op) (*agentapi.Response, error) {
	var r agentapi.Response
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("node %s: the agent's answer is not understood", s.node)
	}
	refused := r.Op == "" && r.Error != nil // what is no request of which it knows the operation, to the agent
	if r.Version != agentapi.Version || r.Node != s.node || r.Run != s.run || r.Op != op && !refused {
		return nil, fmt.Errorf("node %s: the answer is not one to what was asked (version %d, operation %q)", s.node, r.Version, hint.Shorten(string(r.Op)))
	}
	if r.Error != nil {
		r.Error.Message = hint.Shorten(r.Error.Message) // what an agent says may be as long as a line may be
		return nil, fmt.Errorf("node %s: %w", s.node, r.Error)
	}
	if !whole(r) {
		return nil, fmt.Errorf("node %s: the agent's answer describes a configuration that there can't be", s.node)
	}
	return &r, nil
}

// whole tells whether each configuration in an answer is one that an agent of ours describes: everything else relies on rules
// that are about something and have a key, and on the digest being that of the file.
func whole(r agentapi.Response) bool {
	var list []encconfig.Description
	if st := r.State; st != nil {
		if st.Config != nil {
			if list = append(list, *st.Config); st.Config.Digest != st.Digest {
				return false
			}
		}
		for _, revision := range st.History {
			list = append(list, revision.Config)
		}
	}
	if r.Proposed != nil {
		list = append(list, r.Proposed.Config)
	}
	if r.Composed != nil {
		list = slices.AppendSeq(list, maps.Values(r.Composed.Configs))
	}
	return !slices.ContainsFunc(list, func(d encconfig.Description) bool {
		return slices.ContainsFunc(d.Rules, func(rule encconfig.Rule) bool { return len(rule.Resources) == 0 || len(rule.Keys) == 0 })
	})
}

// Close ends the conversation: the agent's input ends, so the agent does, and with it the streams. One that does not
// is cut off.
func (s *Session) Close() {
	_ = s.stdin.Close()
	select {
	case <-s.ended:
	case <-time.After(farewell):
	}
	s.cancel()
}
