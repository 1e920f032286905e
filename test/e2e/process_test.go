// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// event is one line of -o json.
type event struct {
	Event    string
	Time     time.Time
	Stage    string
	Text     string
	Resource string
	Number   int
	Total    int
	Done     int
}

func (e event) starts(stage string) bool { return e.Event == "step-started" && e.Stage == stage }

// process is a plugin at work that tells what it does.
type process struct {
	cmd *exec.Cmd
	// events is closed when the plugin has ended.
	events chan event
	ended  chan struct{}
	err    error
	// stdout is to be read when the plugin has ended.
	stdout, stderr bytes.Buffer
	seen           []event
}

// begin starts the plugin with -o json. The test has to see to its end, by wait or by kill.
func (c *cluster) begin(t *testing.T, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), pluginLimit)
	t.Cleanup(cancel)
	const many = 10_000
	p := &process{events: make(chan event, many), ended: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, c.env.plugin, append(args, "-o", "json")...)
	p.cmd.Env = c.environ()
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go p.follow(out)
	t.Cleanup(func() { <-p.ended })
	return p
}

func (p *process) follow(out io.Reader) {
	defer close(p.ended)
	lines := bufio.NewScanner(io.TeeReader(out, &p.stdout))
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			p.events <- e
		}
	}
	close(p.events)
	p.err = p.cmd.Wait()
}

// until reads events until one matches. It is false if the plugin ended before.
func (p *process) until(match func(event) bool) (event, bool) {
	for e := range p.events {
		p.seen = append(p.seen, e)
		if match(e) {
			return e, true
		}
	}
	return event{}, false
}

// kill ends the plugin as a crash would: no handler of its own runs.
func (p *process) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Kill())
	p.until(func(event) bool { return false })
	<-p.ended
}

// wait waits for the plugin's own end and gives its exit code.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	p.until(func(event) bool { return false })
	<-p.ended
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		require.NoError(t, p.err)
	}
	return p.cmd.ProcessState.ExitCode()
}
