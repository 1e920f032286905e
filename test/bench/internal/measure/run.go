// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/machine"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/peer"
)

// memoryPoll is how often a process of another's making is asked for the most memory that it ever held.
const memoryPoll = 20 * time.Millisecond

// child is a process that is measured.
type child struct {
	cmd    *exec.Cmd
	out    bytes.Buffer
	errors bytes.Buffer
	peak   atomic.Int64
	ended  chan struct{}
}

func newChild(cmd *exec.Cmd) *child {
	c := &child{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &c.out, &c.errors
	return c
}

func (c *child) start() error {
	if err := c.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", c.cmd.Path, err)
	}
	go c.watch()
	return nil
}

// watch notes the peak until the process has ended.
func (c *child) watch() {
	ticker := time.NewTicker(memoryPoll)
	defer ticker.Stop()
	for {
		select {
		case <-c.ended:
			return
		case <-ticker.C:
			if peak, err := machine.PeakMemory(c.cmd.Process.Pid); err == nil {
				c.peak.Store(peak)
			}
		}
	}
}

// wait returns when the process has ended, with its error and the end of what it complained of.
func (c *child) wait() error {
	defer close(c.ended)
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, tail(c.errors.String()))
	}
	return nil
}

// cpu is the processor time of a process that has ended.
func (c *child) cpu() time.Duration {
	return c.cmd.ProcessState.UserTime() + c.cmd.ProcessState.SystemTime()
}

func tail(text string) string {
	const most = 300
	text = strings.TrimSpace(text)
	return text[max(0, len(text)-most):]
}

// ran is what the processes of one peer have used.
type ran struct {
	outcome peer.Outcome
	cpu     time.Duration
	peak    int64
}

// runPeer runs this program as a peer.
func runPeer(ctx context.Context, bench string, job peer.Job) (ran, error) {
	body, err := json.Marshal(job)
	if err != nil {
		return ran{}, fmt.Errorf("encode job: %w", err)
	}
	c := newChild(exec.CommandContext(ctx, bench, "peer", string(body)))
	if err := c.start(); err != nil {
		return ran{}, err
	}
	if err := c.wait(); err != nil {
		return ran{}, err
	}
	r := ran{cpu: c.cpu()}
	if err := json.Unmarshal(c.out.Bytes(), &r.outcome); err != nil {
		return ran{}, fmt.Errorf("read outcome: %w", err)
	}
	r.peak = r.outcome.Peak
	return r, nil
}

// runPipeline runs `kubectl get secrets --all-namespaces -o json | kubectl replace -f -`, as the documentation of
// Kubernetes has it (tasks/administer-cluster/encrypt-data, "Ensure all relevant data are encrypted").
func runPipeline(ctx context.Context, kubectl, kubeconfig, home string) (ran, error) {
	command := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, kubectl, args...)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "HOME="+home)
		return cmd
	}
	get := newChild(command("get", "secrets", "--all-namespaces", "-o", "json"))
	replace := newChild(command("replace", "-f", "-"))
	from, to, err := os.Pipe()
	if err != nil {
		return ran{}, fmt.Errorf("make pipe: %w", err)
	}
	get.cmd.Stdout, replace.cmd.Stdin = to, from
	err = errors.Join(get.start(), replace.start())
	_, _ = to.Close(), from.Close() // each process has its own
	if err != nil {
		return ran{}, err
	}
	if err := errors.Join(get.wait(), replace.wait()); err != nil {
		return ran{}, err
	}
	return ran{cpu: get.cpu() + replace.cpu(), peak: get.peak.Load() + replace.peak.Load()}, nil
}
