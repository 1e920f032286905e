// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
)

// built is a program that make builds, or that the environment names.
func built(t *testing.T, variable, name string) string {
	t.Helper()
	program := os.Getenv(variable)
	if program == "" {
		program = filepath.Join(root, "bin", name)
	}
	program, err := filepath.Abs(program)
	require.NoError(t, err)
	require.FileExists(t, program, "make build makes it")
	return program
}

// plugin runs the plugin without a cluster, to its end.
func plugin(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), built(t, pluginVariable, "kubectl-encryption"), args...)
	cmd.Env = []string{"HOME=" + t.TempDir(), "KUBECONFIG=" + filepath.Join(t.TempDir(), "none")}
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); !ended {
		require.NoError(t, err)
	}
	return out.String(), problems.String(), cmd.ProcessState.ExitCode()
}

// agentProcess is the agent as its Job runs it: alone in a root directory that has nothing but the program and what is mounted.
type agentProcess struct {
	in  *json.Encoder
	out *bufio.Reader
}

// startAgent starts an agent on a node with this configuration. It ends with the test.
func startAgent(t *testing.T, config []byte) *agentProcess {
	t.Helper()
	image := t.TempDir()
	program, err := os.ReadFile(built(t, agentVariable, "encryption-agent"))
	require.NoError(t, err)
	folder := filepath.Join(image, agentapi.ConfigDir)
	require.NoError(t, os.MkdirAll(folder, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "config.yaml"), config, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(image, "encryption-agent"), program, 0o700))
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "/encryption-agent", "--node=n1", "--run=integration", "--config=config.yaml")
	cmd.Dir, cmd.Env, cmd.SysProcAttr = "/", []string{}, &syscall.SysProcAttr{Chroot: image}
	if os.Geteuid() != 0 { // who is not root may change the root directory where he is root
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
	}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close()
		require.NoError(t, cmd.Wait(), "%s", &problems)
	})
	return &agentProcess{in: json.NewEncoder(in), out: bufio.NewReader(out)}
}

// ask puts a request and gives the answer, whatever it is.
func (a *agentProcess) ask(t *testing.T, request agentapi.Request) agentapi.Response {
	t.Helper()
	request.Version = agentapi.Version
	require.NoError(t, a.in.Encode(request))
	line, err := a.out.ReadBytes('\n')
	require.NoError(t, err)
	var answer agentapi.Response
	require.NoError(t, json.Unmarshal(line, &answer))
	return answer
}
