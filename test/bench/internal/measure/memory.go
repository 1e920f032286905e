// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/peer"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
)

// ListServer is a server of metadata in a process of its own.
type ListServer struct {
	URL string

	cmd  *exec.Cmd
	stop io.Closer
}

// StartListServer starts a server with a number of objects.
func StartListServer(ctx context.Context, bench string, objects int) (*ListServer, error) {
	cmd := exec.CommandContext(ctx, bench, "listserver", strconv.Itoa(objects))
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start list server: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start list server: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start list server: %w", err)
	}
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = cmd.Wait()
		return nil, fmt.Errorf("await list server: %w", err)
	}
	return &ListServer{URL: strings.TrimSpace(url), cmd: cmd, stop: in}, nil
}

// Stop ends the server.
func (s *ListServer) Stop() {
	_ = s.stop.Close()
	_ = s.cmd.Wait() // it has nothing to say
}

// Memory runs a peer and looks at the most memory that it held.
func Memory(ctx context.Context, bench string, objects int, job peer.Job) (result.Memory, error) {
	began := time.Now()
	r, err := runPeer(ctx, bench, job)
	if err != nil {
		return result.Memory{}, fmt.Errorf("migrate %d objects: %w", objects, err)
	}
	if r.outcome.Written != int64(objects) {
		return result.Memory{}, fmt.Errorf("migrate %d objects: %d were", objects, r.outcome.Written)
	}
	return result.Memory{
		Objects: objects, Peak: r.peak, Wall: time.Since(began).Seconds(), Client: r.cpu.Seconds(),
	}, nil
}
