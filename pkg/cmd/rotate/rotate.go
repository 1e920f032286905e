// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rotate is the command rotate.
package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/rotate"
)

// Flags are the command's flags.
type Flags struct {
	options.Shared
	Agent     options.Agent
	Migration options.Migration
	Consent   options.Consent

	Provider      string
	Keep          int
	DryRun        bool
	Resume, Abort bool
	Output        string
}

// Options is what Run needs.
type Options struct {
	*Flags
	Rotation *rotate.Run
	Cluster  v1alpha1.Cluster
	Mode     rotate.Mode
}

// NewCommand makes the command.
func NewCommand(shared options.Shared) *cobra.Command {
	f := &Flags{Shared: shared}
	cmd := &cobra.Command{
		Use: "rotate", Short: "Rotate the encryption key and migrate everything that is stored",
		Long: long(), Example: examples(), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.Validate(); err != nil {
				return err
			}
			o, emit, closeSink, err := f.ToOptions()
			if err != nil {
				return err
			}
			defer closeSink()
			return o.Run(cmd.Context(), emit)
		},
	}
	f.AddFlags(cmd)
	return cmd
}

// AddFlags registers the flags.
func (f *Flags) AddFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	f.Agent.AddFlags(flags)
	f.Migration.AddFlags(flags)
	f.Consent.AddFlags(flags)
	flags.StringVar(&f.Provider, "provider", "", "Provider of the new key: aesgcm, secretbox or aescbc (default that of the write key)")
	flags.IntVar(&f.Keep, "keep", plan.DefaultKeep, "How many keys the configuration keeps, the write key and the one before it among them")
	flags.BoolVar(&f.DryRun, "dry-run", false, "Print the plan and change nothing")
	flags.BoolVar(&f.Resume, "resume", false, "Go on with a rotation that stopped")
	flags.BoolVar(&f.Abort, "abort", false, "Take the new key back, which is possible while nothing is written with it")
	flags.StringVarP(&f.Output, "output", "o", "", "Output format. With --dry-run one of: (json, yaml), else json: one event per line")
	_ = cmd.RegisterFlagCompletionFunc("provider", cobra.FixedCompletions(providers(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

func providers() []string {
	var list []string
	for _, p := range encconfig.LocalProviders() {
		list = append(list, string(p))
	}
	return list
}

// Validate checks the flags by themselves.
func (f *Flags) Validate() error {
	if f.Provider != "" {
		if _, err := encconfig.ParseProvider(f.Provider); err != nil {
			return err
		}
	}
	switch {
	case f.Resume && f.Abort:
		return errors.New("--resume and --abort exclude each other")
	case f.Provider != "" && (f.Resume || f.Abort):
		return errors.New("--provider is for a new key; --resume and --abort are about one that exists")
	case f.Keep < plan.MinKeep:
		return fmt.Errorf("--keep must be at least %d: the write key and the one before it", plan.MinKeep)
	case !slices.Contains([]string{"", "json", "yaml"}, f.Output):
		return fmt.Errorf("--output %q is not one of json, yaml", f.Output)
	case f.Output == "yaml" && !f.DryRun:
		return errors.New("--output yaml is for --dry-run; events are printed as text or json")
	}
	return errors.Join(f.Agent.Validate(), f.Migration.Validate())
}

func (f *Flags) mode() rotate.Mode {
	switch {
	case f.Resume:
		return rotate.Resume
	case f.Abort:
		return rotate.Abort
	}
	return rotate.Begin
}

// ToOptions makes clients and the consumer of events.
func (f *Flags) ToOptions() (*Options, event.Sink, func(), error) {
	cluster, err := f.Connect()
	if err != nil {
		return nil, nil, nil, err
	}
	emit, closeSink := f.Sink(f.Output)
	run, err := rotate.New(cluster, rotate.Options{
		Mode: f.mode(), Provider: encconfig.Provider(f.Provider), Keep: f.Keep,
		Image: f.Agent.Image, JobTimeout: f.Agent.JobTimeout, ConvergeTimeout: f.Agent.ConvergeTimeout,
		Concurrency: f.Migration.Concurrency, MaxRate: f.Migration.MaxRate, By: options.Who(), Emit: emit,
	})
	if err != nil {
		closeSink()
		return nil, nil, nil, err
	}
	return &Options{Flags: f, Rotation: run, Cluster: options.Cluster(cluster), Mode: f.mode()}, emit, closeSink, nil
}

// Run plans, asks, and rotates.
func (o *Options) Run(ctx context.Context, emit event.Sink) error {
	if err := o.Rotation.Preflight(ctx); err != nil {
		return err
	}
	planned, err := o.Rotation.Plan(ctx, o.Cluster)
	if err != nil {
		return err
	}
	if o.DryRun {
		return options.PrintPlan(planned, o.Output, o.Out)
	}
	if o.Output != "json" {
		options.WritePlan(planned, o.ErrOut)
	}
	if err := o.Consent.Get(ctx, o.Shared, "Continue?"); err != nil {
		return err
	}
	started := time.Now()
	if err := o.Rotation.Do(ctx); err != nil {
		emit(options.Failed(err))
		return err
	}
	emit(event.Finished{Text: o.Rotation.Result(), Elapsed: time.Since(started)})
	return nil
}
