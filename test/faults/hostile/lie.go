// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agent"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// liar stands before a true agent. It claims each installation, does none, and tells of its node from then on as if it had.
type liar struct {
	// ask has the true agent answer.
	ask func(agentapi.Request) (agentapi.Response, error)
	// proposed is the last configuration that the true agent has made, claimed the digest of the one that is said to be installed.
	proposed *encconfig.Description
	claimed  string
	since    time.Time
}

// lie serves as a liar until its input ends.
func lie(ctx context.Context, in io.Reader, out io.Writer) error {
	server, err := agent.New(agent.Options{
		Node: argument("--node="), Run: argument("--run="), ConfigName: argument("--config="),
		ConfigDir: agentapi.ConfigDir, HistoryDir: agentapi.HistoryDir, Now: time.Now, Random: rand.Reader,
	})
	if err != nil {
		return err
	}
	requests, toAgent := io.Pipe()
	fromAgent, answers := io.Pipe()
	go func() { _ = answers.CloseWithError(server.Serve(ctx, requests, answers)) }()
	decoder := json.NewDecoder(fromAgent)
	l := liar{ask: func(request agentapi.Request) (answer agentapi.Response, err error) {
		if err := json.NewEncoder(toAgent).Encode(request); err != nil {
			return answer, err
		}
		return answer, decoder.Decode(&answer)
	}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, agentapi.MaxLine)
	for lines.Scan() {
		var request agentapi.Request
		if err := json.Unmarshal(lines.Bytes(), &request); err != nil {
			return fmt.Errorf("read request: %w", err)
		}
		answer, err := l.answer(request)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(out).Encode(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

// answer is the true agent's, but for what is said to be installed.
func (l *liar) answer(request agentapi.Request) (agentapi.Response, error) {
	op := request.Op
	if op == agentapi.Install {
		l.claimed, l.since = request.Install.To, time.Now()
		request = agentapi.Request{Version: request.Version, Op: agentapi.Inspect}
	}
	answer, err := l.ask(request)
	if answer.Proposed != nil {
		l.proposed = &answer.Proposed.Config
	}
	answer.Op = op
	if l.claimed == "" || answer.State == nil {
		return answer, err
	}
	answer.State.Digest, answer.State.ModTime, answer.State.Config = l.claimed, l.since, nil
	if l.proposed != nil && l.proposed.Digest == l.claimed { // only the agent that made it knows more than the digest
		answer.State.Config = l.proposed
	}
	return answer, err
}
