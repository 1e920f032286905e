// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/listserver"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/machine"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/peer"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/probe"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/rig"
)

// newPeer is a peer: it does its job and says how.
func newPeer() *cobra.Command {
	return &cobra.Command{
		Use:    "peer JOB",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var job peer.Job
			if err := json.Unmarshal([]byte(args[0]), &job); err != nil {
				return fmt.Errorf("read job: %w", err)
			}
			config, err := rig.Load(job.Kubeconfig)
			if err != nil {
				return err
			}
			stop, err := profile(job.Profile)
			if err != nil {
				return err
			}
			outcome, err := peer.Run(cmd.Context(), config, job)
			if err := errors.Join(err, stop()); err != nil {
				return err
			}
			if outcome.Peak, err = machine.PeakMemory(os.Getpid()); err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(outcome)
		},
	}
}

// profile begins to write a processor profile, and returns what ends it.
func profile(file string) (stop func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	out, err := os.Create(file)
	if err != nil {
		return nil, fmt.Errorf("write profile: %w", err)
	}
	if err := pprof.StartCPUProfile(out); err != nil {
		return nil, fmt.Errorf("write profile: %w", err)
	}
	return func() error {
		pprof.StopCPUProfile()
		return out.Close()
	}, nil
}

// newProbe is the foreground: it says when it sends requests, and what they took when its input ends.
func newProbe() *cobra.Command {
	return &cobra.Command{
		Use:    "probe KUBECONFIG",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := rig.Load(args[0])
			if err != nil {
				return err
			}
			ctx := untilEnd(cmd.Context(), cmd.InOrStdin())
			latencies, err := probe.Run(ctx, config, func() { _, _ = fmt.Fprintln(cmd.OutOrStdout(), "ready") })
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(latencies)
		},
	}
}

// newListServer serves metadata until its input ends; its first line is its address.
func newListServer() *cobra.Command {
	return &cobra.Command{
		Use:    "listserver OBJECTS",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			objects, err := strconv.Atoi(args[0])
			if err != nil {
				return fmt.Errorf("read number of objects: %w", err)
			}
			server := listserver.Start(objects)
			defer server.Close()
			_, _ = fmt.Fprintln(cmd.OutOrStdout(), server.URL)
			<-untilEnd(cmd.Context(), cmd.InOrStdin()).Done()
			return nil
		},
	}
}

// untilEnd is a context that ends with a stream: when whoever holds the other end closes it, or is gone.
func untilEnd(ctx context.Context, in io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, in)
	}()
	return ctx
}
