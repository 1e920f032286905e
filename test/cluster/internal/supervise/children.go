// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// restartDelay is what systemd's unit for the kubelet waits, nearly.
	restartDelay = 2 * time.Second
	// programGrace is how long a program may take to end when told to.
	programGrace = 10 * time.Second
)

// program is one that the node keeps running.
type program struct {
	name string
	log  string
	// arguments waits until the program can be started and returns its
	// command line.
	arguments func(ctx context.Context) ([]string, error)
}

// children are all processes whose parent is this one: those that it started,
// and those whose parent died, as process 1 inherits them.
type children struct {
	log io.Writer

	mu      sync.Mutex
	started map[int]chan unix.WaitStatus
}

func newChildren(log io.Writer) *children {
	return &children{log: log, started: map[int]chan unix.WaitStatus{}}
}

// reap collects every child that ends.
func (c *children) reap() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	for range ended {
		c.collect()
	}
}

func (c *children) collect() {
	// Held over the whole round, so that start has noted its process before
	// that process is looked for here.
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if err != nil || pid <= 0 {
			return
		}
		if exit, ok := c.started[pid]; ok {
			exit <- status
			delete(c.started, pid)
		}
	}
}

func (c *children) start(path string, args []string, log *os.File) (int, <-chan unix.WaitStatus, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	process, err := os.StartProcess(path, args, &os.ProcAttr{
		Dir: "/", Env: environment(), Files: []*os.File{nil, log, log},
	})
	if err != nil {
		return 0, nil, fmt.Errorf("start %s: %w", path, err)
	}
	exit := make(chan unix.WaitStatus, 1)
	c.started[process.Pid] = exit
	pid := process.Pid
	// Waited for by collect, never through this handle.
	_ = process.Release()
	return pid, exit, nil
}

// kept is a program that is kept running.
type kept struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// background keeps the program running until it is stopped.
func (c *children) background(ctx context.Context, p program) kept {
	ctx, cancel := context.WithCancel(ctx)
	k := kept{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(k.done)
		c.keep(ctx, p)
	}()
	return k
}

// stop ends the program and returns when it is gone.
func (k kept) stop() {
	k.cancel()
	<-k.done
}

// keep runs the program, again each time it ends, until ctx does; then it
// ends the program and returns.
func (c *children) keep(ctx context.Context, p program) {
	for ctx.Err() == nil {
		if err := c.once(ctx, p); err != nil {
			_, _ = fmt.Fprintf(c.log, "%s: %v\n", p.name, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(restartDelay):
		}
	}
}

func (c *children) once(ctx context.Context, p program) error {
	args, err := p.arguments(ctx)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer func() { _ = log.Close() }()
	pid, exit, err := c.start(args[0], args, log)
	if err != nil {
		return err
	}
	select {
	case status := <-exit:
		return fmt.Errorf("ended: exit code %d, signal %d", status.ExitStatus(), status.Signal())
	case <-ctx.Done():
	}
	return end(pid, exit)
}

// end asks a program to end, and kills it if it takes too long.
func end(pid int, exit <-chan unix.WaitStatus) error {
	if err := unix.Kill(pid, unix.SIGTERM); err != nil {
		return fmt.Errorf("end: %w", err)
	}
	select {
	case <-exit:
		return nil
	case <-time.After(programGrace):
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		return fmt.Errorf("kill: %w", err)
	}
	<-exit
	return nil
}
