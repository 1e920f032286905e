// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/machine"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/measure"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/report"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/rig"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/series"
)

// verifyOptions of a run of `bench verify`.
type verifyOptions struct {
	dir, cluster, agent, plugin, readme string
	values                              []int
	size, rounds                        int
	seed                                uint64
}

// newVerify compares the ways of reading what is stored.
func newVerify() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Measure how fast, and with how much memory, verify reads what is stored",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return o.run(cmd.Context(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.dir, "dir", filepath.Join("_output", "bench"), "folder for the results, the control plane and the snapshots")
	flags.StringVar(&o.cluster, "cluster", "", "program of the test cluster (default: built)")
	flags.StringVar(&o.agent, "agent", filepath.Join("bin", "encryption-agent"), "the agent, as make builds it")
	flags.StringVar(&o.plugin, "plugin", filepath.Join("bin", "kubectl-encryption"), "the plugin, as make builds it")
	flags.StringVar(&o.readme, "readme", "", "file in which the part between the markers is replaced by the table")
	flags.IntSliceVar(&o.values, "values", []int{100_000, 1_000_000}, "how many values, one number for each series")
	flags.IntVar(&o.size, "size", 1<<10, "size of an object in bytes, before it is encrypted")
	flags.IntVar(&o.rounds, "rounds", 5, "rounds of all readers")
	flags.Uint64Var(&o.seed, "seed", 0, "seed of the order of the readers (default: the time)")
	return cmd
}

func (o verifyOptions) validate() error {
	if o.rounds < 1 || o.size < 1 {
		return fmt.Errorf("there must be a round and a size, not %d rounds of %d bytes", o.rounds, o.size)
	}
	for _, n := range o.values {
		if n < 1 {
			return fmt.Errorf("there can't be %d values", n)
		}
	}
	for _, program := range []string{o.agent, o.plugin} {
		if _, err := os.Stat(program); err != nil {
			return fmt.Errorf("find a program that make build makes: %w", err)
		}
	}
	return nil
}

func (o verifyOptions) run(ctx context.Context, log io.Writer) (err error) {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if o.seed == 0 {
		o.seed = uint64(time.Now().Unix()) //nolint:gosec // it is after 1970
	}
	programs, err := rig.FindCluster(ctx, filepath.Join(o.dir, "bin"), o.cluster)
	if err != nil {
		return err
	}
	results := &result.VerifyResults{Date: time.Now().UTC().Format(time.RFC3339), Seed: o.seed, Size: o.size}
	if results.Machine, err = machine.Describe(o.dir); err != nil {
		return err
	}
	if results.Versions, err = versions(ctx, programs); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(o.seed, 0)) //nolint:gosec // the order of the readers is to be had again by its seed
	for _, n := range o.values {
		if err := o.series(ctx, programs, n, random, results, log); err != nil {
			// What was measured before is worth keeping, but not publishing.
			return errors.Join(err, report.WriteVerify(results, o.dir, ""))
		}
	}
	_, _ = fmt.Fprint(log, "\n", report.VerifyMarkdown(results))
	return report.WriteVerify(results, o.dir, o.readme)
}

// series measures with one number of values, on a control plane of its own.
func (o verifyOptions) series(
	ctx context.Context, programs rig.Programs, n int, random *rand.Rand, results *result.VerifyResults, log io.Writer,
) error {
	values, err := rig.NewValues(n, o.size)
	if err != nil {
		return err
	}
	control, err := rig.Start(ctx, programs, filepath.Join(o.dir, "control-plane"), log)
	if err != nil {
		return err
	}
	defer control.Stop(ctx, log)
	if results.Versions.Kubernetes, err = control.Version(); err != nil {
		return err
	}
	readings, err := series.Verify(ctx, &measure.Reader{
		Rig: control, Bench: programs.Bench, Agent: o.agent, Plugin: o.plugin, Values: values,
		Snapshot: filepath.Join(o.dir, "verify.db"), Dir: o.dir,
	}, o.rounds, random, log)
	results.Readings = append(results.Readings, readings...)
	return err
}

// newPage is the bare client of etcd: it reads a range and says how fast.
func newPage() *cobra.Command {
	return &cobra.Command{
		Use:    "page ENDPOINT PREFIX LIMIT",
		Hidden: true,
		Args:   cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			limit, err := strconv.ParseInt(args[2], 10, 64)
			if err != nil {
				return fmt.Errorf("read limit: %w", err)
			}
			paged, err := measure.Page(cmd.Context(), args[0], args[1], limit)
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(paged)
		},
	}
}
