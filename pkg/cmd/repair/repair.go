// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package repair is the command repair.
package repair

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/repair"
)

// Flags are the command's flags.
type Flags struct {
	options.Shared
	Agent   options.Agent
	Consent options.Consent

	DryRun bool
	Output string
}

// Repairer looks at nodes and brings them to one configuration.
type Repairer interface {
	Find(ctx context.Context) (*repair.Finding, error)
	Do(ctx context.Context, consented *repair.Finding) (*repair.Finding, error)
	Result(ctx context.Context) (result, next string)
}

// Options is what Run needs.
type Options struct {
	*Flags
	Repairer Repairer
	Cluster  v1alpha1.Cluster
	Emit     event.Sink
}

// NewCommand makes the command.
func NewCommand(shared options.Shared) *cobra.Command {
	f := &Flags{Shared: shared}
	cmd := &cobra.Command{
		Use: "repair", Short: "Bring control-plane nodes whose files differ, or are lost, to one configuration",
		Long: long(), Example: examples(), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.Validate(); err != nil {
				return err
			}
			o, closeSink, err := f.ToOptions()
			if err != nil {
				return err
			}
			defer closeSink()
			return o.Run(cmd.Context())
		},
	}
	f.AddFlags(cmd)
	options.Streaming(cmd)
	return cmd
}

// AddFlags registers the flags.
func (f *Flags) AddFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	f.Agent.AddFlags(flags)
	f.Consent.AddFlags(flags)
	flags.BoolVar(&f.DryRun, "dry-run", false, "Print what differs and what would be done, and change nothing")
	flags.StringVarP(&f.Output, "output", "o", "", "Output format. With --dry-run one of: (json, yaml), else json: one event per line")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

// Validate checks the flags by themselves.
func (f *Flags) Validate() error {
	switch {
	case !slices.Contains([]string{"", "json", "yaml"}, f.Output):
		return fmt.Errorf("--output %q is not one of json, yaml", f.Output)
	case f.Output == "yaml" && !f.DryRun:
		return errors.New("--output yaml is for --dry-run; events are printed as text or json")
	}
	return f.Agent.Validate()
}

// ToOptions makes clients and the consumer of events.
func (f *Flags) ToOptions() (*Options, func(), error) {
	cluster, err := f.Connect()
	if err != nil {
		return nil, nil, err
	}
	emit, closeSink := f.Sink(f.Output)
	run, err := repair.New(cluster, f.Agent.Settings(emit))
	if err != nil {
		closeSink()
		return nil, nil, err
	}
	return &Options{Flags: f, Repairer: run, Cluster: options.Cluster(cluster), Emit: emit}, closeSink, nil
}

// Run shows what differs, asks, and repairs.
func (o *Options) Run(ctx context.Context) error {
	started := time.Now()
	found, err := o.Repairer.Find(ctx)
	if err != nil {
		return err
	}
	planned, err := repair.Plan(found, o.Cluster)
	if err != nil {
		return err
	}
	switch {
	case o.DryRun:
		return options.PrintPlan(planned, writePlan, o.Output, o.Out)
	case !found.NothingToDo():
		if o.Output != "json" {
			writePlan(planned, o.ErrOut)
		}
		if err := o.Consent.Get(ctx, o.Shared, "Continue?"); err != nil {
			return err
		}
		consented := found
		if o.Consent.Yes {
			consented = nil // whatever is found
		}
		if found, err = o.Repairer.Do(ctx, consented); err != nil {
			o.Emit(options.Failed(err))
			return err
		}
	}
	return o.finish(ctx, found, started)
}

// finish tells what was done, what comes next, and which nodes are left.
func (o *Options) finish(ctx context.Context, found *repair.Finding, started time.Time) error {
	result, next := o.Repairer.Result(ctx)
	if len(found.Silent) > 0 {
		o.Emit(event.Notice{Text: result})
		err := left(found.Silent)
		o.Emit(options.Failed(err))
		return err
	}
	if next != "" {
		o.Emit(event.Notice{Text: next})
	}
	o.Emit(event.Finished{Text: result, Elapsed: time.Since(started)})
	return nil
}

// left is the end of a repair that could not reach every node.
func left(silent []repair.Silent) error {
	e := &hint.Error{Safe: "safe to stop here: the other nodes have one configuration"}
	var reasons []string
	for _, s := range silent {
		reasons = append(reasons, s.Reason)
		e.Hints = append(e.Hints, "if its file is why "+s.Node+" is down, mend it by hand, with these two commands:")
		e.Hints = append(e.Hints, s.Commands()...)
	}
	e.Hints = append(e.Hints, "how the agent gets onto a node: docs/join.md; when all nodes are back, run this command again")
	e.Err = fmt.Errorf("not every control-plane node could be looked at: %s", strings.Join(reasons, "; "))
	return e
}
