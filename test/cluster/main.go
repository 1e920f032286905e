// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Command cluster starts real Kubernetes control planes on one Linux machine,
// for tests, the demo and benchmarks. README.md tells how.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/cmd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := cmd.New().ExecuteContext(ctx)
	stop()
	os.Exit(exitCode(err))
}

// exitCode is that of the command that was run on a node, where there was one.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit == err { //nolint:errorlint // one that is wrapped is the harness's own failure
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "error:", err)
	return 1
}
