// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench measures how fast, and at what cost, `kubectl encryption migrate` stores everything again, against
// every other way of doing so, on a control plane of its own. See README.md.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	root := command.New()
	root.SetIn(os.Stdin)
	root.SetOut(os.Stdout)
	root.SetErr(os.Stderr)
	err := root.ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
