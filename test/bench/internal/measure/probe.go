// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/probe"
)

// Foreground is the probe in a process of its own.
type Foreground struct {
	cmd   *exec.Cmd
	stop  io.Closer
	lines *bufio.Reader
}

// StartForeground starts the probe and returns when it sends requests.
func (m *Meter) StartForeground(ctx context.Context) (*Foreground, error) {
	cmd := exec.CommandContext(ctx, m.Programs.Bench, "probe", m.Rig.Kubeconfig)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start foreground: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start foreground: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start foreground: %w", err)
	}
	f := &Foreground{cmd: cmd, stop: in, lines: bufio.NewReader(out)}
	if _, err := f.lines.ReadString('\n'); err != nil {
		_ = cmd.Wait()
		return nil, fmt.Errorf("await foreground: %w: %s", err, tail(complaints.String()))
	}
	m.Others = append(m.Others, cmd.Process.Pid)
	return f, nil
}

// StopForeground ends the probe and returns what it measured.
func (m *Meter) StopForeground(f *Foreground) (probe.Latencies, error) {
	m.Others = m.Others[:len(m.Others)-1]
	_ = f.stop.Close()
	var l probe.Latencies
	err := json.NewDecoder(f.lines).Decode(&l)
	if err := errors.Join(err, f.cmd.Wait()); err != nil {
		return l, fmt.Errorf("end foreground: %w", err)
	}
	return l, nil
}
