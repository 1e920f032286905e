// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package cmd

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/balancer"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/supervise"
)

// newSupervise is process 1 of a node; the harness starts it, nobody else.
func newSupervise() *cobra.Command {
	return &cobra.Command{
		Use:    "supervise",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Were they left open in what this process starts, their other
			// ends would wait for ever.
			unix.CloseOnExec(supervise.SpecDescriptor)
			unix.CloseOnExec(supervise.ReadyDescriptor)
			specs := os.NewFile(supervise.SpecDescriptor, "specs")
			answer := os.NewFile(supervise.ReadyDescriptor, "answer")
			return supervise.Run(cmd.Context(), specs, answer, cmd.ErrOrStderr())
		},
	}
}

// newBalancer is the process in front of a control plane of several nodes.
func newBalancer() *cobra.Command {
	return &cobra.Command{
		Use:    "balancer BACKENDS LISTENERS",
		Hidden: true,
		Args:   cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			listeners, err := strconv.Atoi(args[1])
			if err != nil {
				return fmt.Errorf("read number of listeners: %w", err)
			}
			// A closed terminal is no reason to end.
			signal.Ignore(unix.SIGHUP)
			return balancer.Serve(cmd.Context(), args[0], listeners)
		},
	}
}

// newUnderName gives its host name namespace a name and becomes the program.
func newUnderName() *cobra.Command {
	return &cobra.Command{
		Use:    "under-name NAME PROGRAM ARGUMENTS...",
		Hidden: true,
		Args:   cobra.MinimumNArgs(2),
		// What follows is the program's to understand.
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := unix.Sethostname([]byte(args[0])); err != nil {
				return fmt.Errorf("set host name: %w", err)
			}
			if err := unix.Exec(args[1], args[1:], os.Environ()); err != nil {
				return fmt.Errorf("become %s: %w", args[1], err)
			}
			return nil
		},
	}
}
