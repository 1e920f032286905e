// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// keepAgentLogs makes second names for the log files of agents' containers while they are there: a kubelet removes
// them with the pod. It gives the folder with the second names, and a function that ends it.
func (c *cluster) keepAgentLogs(t *testing.T) (folder string, end func()) {
	t.Helper()
	folder = filepath.Join(c.dir, "agent-logs") // on the nodes' file system: a second name must be
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
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
	return folder, func() { cancel(); wg.Wait() }
}

func (c *cluster) linkAgentLogs(folder string) {
	for _, n := range c.nodes {
		pods := filepath.Join(n.root, "var", "log", "pods")
		logs, _ := filepath.Glob(filepath.Join(pods, systemNamespace+"_"+ourName+"-*", "*", "*.log"))
		for _, log := range logs {
			pod := filepath.Base(filepath.Dir(filepath.Dir(log)))
			// Most have their second name already; others are gone by now.
			_ = os.Link(log, filepath.Join(folder, fmt.Sprintf("%s-%s", n.name, pod)))
		}
	}
}
