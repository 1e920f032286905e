// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package command is the benchmark's command line, and the processes that it runs itself as.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/machine"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/measure"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/report"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/rig"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/series"
)

// options of a run.
type options struct {
	dir     string
	cluster string
	kubectl string
	readme  string
	from    string
	only    []string
	quick   bool
	profile bool
	rounds  int
	seed    uint64
}

// New returns the command.
func New() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:           "bench",
		Short:         "Compare the ways of storing every Secret again",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return o.run(cmd.Context(), cmd.ErrOrStderr())
		},
	}
	cmd.AddCommand(newVerify(), newPeer(), newProbe(), newListServer(), newPage())
	flags := cmd.Flags()
	flags.StringVar(&o.dir, "dir", filepath.Join("_output", "bench"), "folder for the results, the control plane and the programs")
	flags.StringVar(&o.cluster, "cluster", "", "program of the test cluster (default: built)")
	flags.StringVar(&o.kubectl, "kubectl", "", "stock kubectl (default: built, of the version of go.mod)")
	flags.StringVar(&o.readme, "readme", "", "file in which the part between the markers is replaced by the table")
	flags.StringVar(&o.from, "from", "", "measure nothing: render this results.json anew")
	flags.StringSliceVar(&o.only, "only", series.Names(), "series to run")
	flags.BoolVar(&o.quick, "quick", false, "few rounds and small slices")
	flags.BoolVar(&o.profile, "profile", false, "keep a processor profile of each peer in the folder's profiles/")
	flags.IntVar(&o.rounds, "rounds", 0, "rounds of all peers (default 10, quick 3)")
	flags.Uint64Var(&o.seed, "seed", 0, "seed of the order of the peers (default: the time)")
	return cmd
}

func (o options) validate() error {
	for _, name := range o.only {
		if !slices.Contains(series.Names(), name) {
			return fmt.Errorf("no series is called %q: choose of %s", name, strings.Join(series.Names(), ", "))
		}
	}
	if o.rounds < 0 {
		return fmt.Errorf("the number of rounds is %d", o.rounds)
	}
	return nil
}

func (o options) run(ctx context.Context, log io.Writer) error {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if o.from != "" {
		results, err := report.Load(o.from)
		if err != nil {
			return err
		}
		return report.Write(results, o.dir, o.readme)
	}
	results, err := o.measure(ctx, log)
	if results == nil {
		return err
	}
	// What was measured before an interrupt is worth keeping, but not publishing.
	readme := o.readme
	if err != nil {
		readme = ""
	}
	return errors.Join(err, report.Write(results, o.dir, readme))
}

// measure runs the series. Where it fails in one, the results of those before come with the error.
func (o options) measure(ctx context.Context, log io.Writer) (*result.Results, error) {
	programs, err := rig.Find(ctx, filepath.Join(o.dir, "bin"), o.cluster, o.kubectl)
	if err != nil {
		return nil, err
	}
	scale := series.Full()
	if o.quick {
		scale = series.Quick()
	}
	if o.rounds > 0 {
		scale.Rounds = o.rounds
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().Unix()) //nolint:gosec // it is after 1970
	}
	results := &result.Results{
		Date: time.Now().UTC().Format(time.RFC3339), Quick: o.quick, Seed: o.seed, Provider: rig.Provider,
	}
	if results.Machine, err = machine.Describe(o.dir); err != nil {
		return nil, err
	}
	if results.Versions, err = versions(ctx, programs); err != nil {
		return nil, err
	}
	_, _ = fmt.Fprintf(log, "seed %d, %d cores, disk sync p50 %.2f ms, p99 %.2f ms\n",
		o.seed, results.Machine.Cores, results.Machine.SyncP50, results.Machine.SyncP99)
	runner := &series.Runner{
		Meter: &measure.Meter{Programs: programs, Dir: o.dir}, Scale: scale, Log: log, Results: results,
		Random: rand.New(rand.NewPCG(o.seed, 0)), //nolint:gosec // the order of the peers is to be had again by its seed
	}
	if o.profile {
		runner.Meter.Profiles = filepath.Join(o.dir, "profiles")
		if err := os.MkdirAll(runner.Meter.Profiles, 0o755); err != nil {
			return nil, fmt.Errorf("make folder: %w", err)
		}
	}
	return results, o.series(ctx, runner, log)
}

func (o options) series(ctx context.Context, runner *series.Runner, log io.Writer) error {
	for _, name := range o.only {
		if series.NeedsRig(name) && runner.Meter.Rig == nil {
			control, err := rig.Start(ctx, runner.Meter.Programs, filepath.Join(o.dir, "control-plane"), log)
			if err != nil {
				return err
			}
			defer control.Stop(ctx, log)
			runner.Meter.Rig = control
			if runner.Results.Versions.Kubernetes, err = control.Version(); err != nil {
				return err
			}
		}
		if err := runner.Run(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
