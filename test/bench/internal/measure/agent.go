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
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
)

// Agent is the agent as its Job runs it: a process alone in a root directory that has nothing but the program and what is
// mounted.
type Agent struct {
	cmd        *exec.Cmd
	root       string
	stop       io.Closer
	in         *json.Encoder
	out        *bufio.Reader
	complaints bytes.Buffer
}

// StartAgent starts an agent of a node with a configuration. Who is not root needs a machine that allows user namespaces.
func StartAgent(ctx context.Context, program string, config []byte) (_ *Agent, err error) {
	a := &Agent{}
	if a.root, err = os.MkdirTemp("", "bench-agent"); err != nil {
		return nil, fmt.Errorf("start agent: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(a.root)
		}
	}()
	if err := furnish(a.root, program, config); err != nil {
		return nil, fmt.Errorf("start agent: %w", err)
	}
	a.cmd = exec.CommandContext(ctx, "/encryption-agent", "--node=n1", "--run=bench", "--config=config.yaml")
	a.cmd.Dir, a.cmd.Env, a.cmd.Stderr = "/", []string{}, &a.complaints
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: a.root}
	if os.Geteuid() != 0 {
		a.cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		a.cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
	}
	in, err := a.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start agent: %w", err)
	}
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start agent: %w", err)
	}
	if err := a.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start agent: %w", err)
	}
	a.stop, a.in, a.out = in, json.NewEncoder(in), bufio.NewReader(out)
	return a, nil
}

// furnish fills the agent's root directory.
func furnish(root, program string, config []byte) error {
	folder := filepath.Join(root, agentapi.ConfigDir)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "config.yaml"), config, 0o600); err != nil {
		return err
	}
	data, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "encryption-agent"), data, 0o700)
}

// count has the agent count to the end, in as many requests as verify would make.
func (a *Agent) count(ask agentapi.Counting, each func(*agentapi.Counted)) (requests int, err error) {
	for {
		requests++
		if err := a.in.Encode(agentapi.Request{Version: agentapi.Version, Op: agentapi.Count, Count: &ask}); err != nil {
			return requests, fmt.Errorf("ask agent: %w", err)
		}
		line, err := a.out.ReadBytes('\n')
		if err != nil {
			return requests, fmt.Errorf("read answer: %w", err)
		}
		var answer agentapi.Response
		if err := json.Unmarshal(line, &answer); err != nil {
			return requests, fmt.Errorf("read answer: %w", err)
		}
		if answer.Error != nil {
			return requests, answer.Error
		}
		if answer.Counted == nil {
			return requests, errors.New("the agent's answer holds no count")
		}
		each(answer.Counted)
		if answer.Counted.Done {
			return requests, nil
		}
		ask.From, ask.Revision = answer.Counted.Next, answer.Counted.Revision
	}
}

// end ends the agent.
func (a *Agent) end() error {
	_ = a.stop.Close()
	err := a.cmd.Wait()
	_ = os.RemoveAll(a.root)
	if err != nil {
		return fmt.Errorf("end agent: %w: %s", err, tail(a.complaints.String()))
	}
	return nil
}
