// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubectl-encryption is a kubectl plugin that manages encryption at rest of a cluster's data.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // clouds' ways of logging in

	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/completion"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/term"
)

func main() { os.Exit(run(os.Args)) }

// run is the program without the exit, so that everything deferred is done.
func run(argv []string) int {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go interruptible(stop)
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	root := cmd.NewRoot(streams, os.LookupEnv)
	args := argv[1:]
	if name := filepath.Base(argv[0]); strings.TrimSuffix(name, ".exe") == completion.Executable {
		args = append([]string{"__complete"}, args...)
	}
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return hint.ExitDone
	}
	for line := range strings.Lines(hint.Render(hint.Clock(err))) { // it may quote what a cluster says
		fmt.Fprintln(os.Stderr, term.Escape(strings.TrimSuffix(line, "\n")))
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return hint.ExitInterrupted
	}
	return hint.ExitCode(err)
}

// interruptible ends the work at a safe point on the first interrupt, and the program at once on the second.
func interruptible(stop context.CancelFunc) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	signal.Ignore(syscall.SIGPIPE) // output that nobody reads any more is no reason to leave things behind
	<-signals
	fmt.Fprintln(os.Stderr, "\ninterrupted: ending at a safe point; once more to quit at once")
	stop()
	<-signals
	os.Exit(hint.ExitInterrupted)
}
