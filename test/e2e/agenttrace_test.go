// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// keepAgentTraces keeps what tells of agents while they are there and is gone with them: the log files of their
// containers, what the container runtime was told to run, and what the kernel tells of their processes. It gives the folder,
// and a function that ends it.
func (c *cluster) keepAgentTraces(t *testing.T) (folder string, end func()) {
	t.Helper()
	folder = filepath.Join(c.dir, "agent-traces") // on the nodes' file system: a second name of a log must be
	require.NoError(t, os.MkdirAll(folder, 0o700))
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		const often = 20 * time.Millisecond
		ticker := time.NewTicker(often)
		defer ticker.Stop()
		for {
			c.linkAgentLogs(folder)
			c.copyContainers(folder)
			copyProcesses(folder)
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
	return folder, func() { cancel(); wg.Wait() }
}

// linkAgentLogs makes second names for log files: a kubelet removes them with the pod.
func (c *cluster) linkAgentLogs(folder string) {
	for _, n := range c.nodes {
		pods := filepath.Join(n.root, "var", "log", "pods")
		logs, _ := filepath.Glob(filepath.Join(pods, systemNamespace+"_"+ourName+"-*", "*", "*.log"))
		for _, log := range logs {
			pod := filepath.Base(filepath.Dir(filepath.Dir(log)))
			// Most have their second name already; others are gone by now.
			_ = os.Link(log, filepath.Join(folder, fmt.Sprintf("%s-%s.log", n.name, pod)))
		}
	}
}

// copyContainers copies what crictl inspect shows of agents' containers: the runtime's own specification.
func (c *cluster) copyContainers(folder string) {
	for _, n := range c.nodes {
		specs, _ := filepath.Glob(fmt.Sprintf("/proc/%d/root/run/containerd/io.containerd.runtime.v2.task/k8s.io/*/config.json", n.pid))
		for _, spec := range specs {
			to := filepath.Join(folder, fmt.Sprintf("%s-%s.container", n.name, filepath.Base(filepath.Dir(spec))))
			if _, err := os.Stat(to); err == nil {
				continue
			}
			data, err := os.ReadFile(spec)
			if err == nil && bytes.Contains(data, []byte(ourName+"-agent-")) {
				_ = os.WriteFile(to, data, 0o600)
			}
		}
	}
}

// copyProcesses copies what the kernel tells of each agent's process, the last before it ended.
func copyProcesses(folder string) {
	processes, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, comm := range processes {
		// The kernel cuts names to 15 bytes. Before it is an agent, a process is its container's runtime.
		if name, _ := os.ReadFile(comm); string(name) != "encryption-agen\n" {
			continue
		}
		dir := filepath.Dir(comm)
		for _, file := range []string{"environ", "cmdline", "status", "limits"} {
			if data, err := os.ReadFile(filepath.Join(dir, file)); err == nil && len(data) > 0 {
				_ = os.WriteFile(filepath.Join(folder, filepath.Base(dir)+"."+file), data, 0o600)
			}
		}
	}
}

// checkConfined requires of each agent that the kernel told of that it was as SECURITY.md says: without a capability or a
// way to one, with a filter of system calls, and without a core dump.
func checkConfined(t *testing.T, folder string) {
	t.Helper()
	kept := func(kind string) (all []string) {
		files, err := filepath.Glob(filepath.Join(folder, "*."+kind))
		require.NoError(t, err)
		require.NotEmpty(t, files, "traces of agents")
		for _, file := range files {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			all = append(all, string(data))
		}
		return all
	}
	for _, status := range kept("status") {
		for _, set := range []string{"Inh", "Prm", "Eff", "Bnd", "Amb"} {
			assert.Regexp(t, `(?m)^Cap`+set+`:\s+0+$`, status)
		}
		assert.Regexp(t, `(?m)^NoNewPrivs:\s+1$`, status)
		assert.Regexp(t, `(?m)^Seccomp:\s+2$`, status)
	}
	for _, limits := range kept("limits") {
		assert.Regexp(t, `(?m)^Max core file size +0 +0 `, limits)
	}
	for _, container := range kept("container") {
		assert.NotContains(t, container, "/var/run/secrets/kubernetes.io", "a service account's token")
		assert.Contains(t, container, `"readonly":true`, "its root file system")
	}
}
