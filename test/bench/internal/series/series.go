// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package series runs the series of the benchmark, one after the other. Within a series everything that is compared
// is in every round, in an order that is drawn anew for each.
package series

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/measure"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/peer"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/rig"
)

// Runner runs series and gathers what they measure.
type Runner struct {
	Meter   *measure.Meter
	Scale   Scale
	Random  *rand.Rand
	Log     io.Writer
	Results *result.Results
}

// Names of all series, in the order in which they run.
func Names() []string {
	return []string{
		result.SeriesRounds, result.SeriesSizes, result.SeriesForeground, result.SeriesWorkers, result.SeriesPatchTypes,
		result.SeriesShipped, result.SeriesMemory,
	}
}

// NeedsRig tells that a series needs a control plane.
func NeedsRig(name string) bool { return name != result.SeriesMemory }

// Run runs one series.
func (r *Runner) Run(ctx context.Context, name string) error {
	began := time.Now()
	series := map[string]func(context.Context) error{
		result.SeriesRounds: r.small, result.SeriesSizes: r.large, result.SeriesForeground: r.foreground,
		result.SeriesWorkers: r.workers, result.SeriesPatchTypes: r.patchTypes, result.SeriesShipped: r.shipped,
		result.SeriesMemory: r.memory,
	}
	run, ok := series[name]
	if !ok {
		return fmt.Errorf("no series is called %q: choose of %v", name, Names())
	}
	r.say("series %s", name)
	if err := run(ctx); err != nil {
		return fmt.Errorf("series %s: %w", name, err)
	}
	r.say("series %s took %s", name, time.Since(began).Round(time.Second))
	return nil
}

func (r *Runner) small(ctx context.Context) error {
	return r.compare(ctx, result.SeriesRounds, r.Scale.Small, Peers(r.Scale.Small), r.Scale.Rounds)
}

func (r *Runner) large(ctx context.Context) error {
	return r.compare(ctx, result.SeriesSizes, r.Scale.Large, Peers(r.Scale.Large), r.Scale.Rounds)
}

func (r *Runner) workers(ctx context.Context) error {
	var specs []measure.Spec
	for _, workers := range []int{1, 2, 4, 8, 16, 32} {
		specs = append(specs, measure.Spec{Name: fmt.Sprintf("ours-%d", workers), Job: sized(peer.Ours, workers, r.Scale.Workers)})
	}
	return r.compare(ctx, result.SeriesWorkers, r.Scale.Workers, specs, r.Scale.Repeats)
}

func (r *Runner) patchTypes(ctx context.Context) error {
	var specs []measure.Spec
	for name, patchType := range patchTypes() {
		job := pinned("ours", 16)
		job.PatchType = patchType
		specs = append(specs, measure.Spec{Name: name, Job: job})
	}
	slices.SortFunc(specs, func(a, b measure.Spec) int { return strings.Compare(a.Name, b.Name) })
	for _, d := range r.Scale.PatchTypes {
		if err := r.compare(ctx, result.SeriesPatchTypes, d, specs, r.Scale.Repeats); err != nil {
			return err
		}
	}
	return nil
}

func (r *Runner) shipped(ctx context.Context) error {
	return r.compare(ctx, result.SeriesShipped, r.Scale.Shipped, []measure.Spec{shipped()}, 1)
}

// compare fills in a dataset and runs rounds of all specs.
func (r *Runner) compare(ctx context.Context, series string, d rig.Dataset, specs []measure.Spec, rounds int) error {
	if err := r.Meter.Rig.Fill(ctx, d); err != nil {
		return err
	}
	for round := 1; round <= rounds; round++ {
		if err := r.Meter.Rig.Tidy(ctx); err != nil {
			return err
		}
		for _, i := range r.Random.Perm(len(specs)) {
			if _, err := r.slice(ctx, series, round, d, specs[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// slice takes a slice, and a second time if it was void. Both are kept.
func (r *Runner) slice(
	ctx context.Context, series string, round int, d rig.Dataset, spec measure.Spec,
) (measure.Taken, error) {
	const attempts = 2
	var taken measure.Taken
	for range attempts {
		var err error
		if taken, err = r.Meter.Slice(ctx, d, spec); err != nil {
			return taken, err
		}
		taken.Series, taken.Round = series, round
		r.Results.Slices = append(r.Results.Slices, taken.Slice)
		r.report(taken.Slice)
		if taken.Void == "" {
			break
		}
	}
	return taken, nil
}

func (r *Runner) report(s result.Slice) {
	if s.Void != "" {
		r.say("  round %2d  %-7s %-12s void: %s", s.Round, s.Dataset, s.Peer, s.Void)
		return
	}
	n := float64(s.Objects)
	r.say("  round %2d  %-7s %-12s %6.0f/s  wall %5.2fs  work %5.2fs  cpu/object %.2f+%.2f+%.2f+%.2f ms  %3d MiB  foreign %.0f%%",
		s.Round, s.Dataset, s.Peer, n/s.Work, s.Wall, s.Work, s.CPU.Client/n*1e3, s.CPU.APIServer/n*1e3, s.CPU.Etcd/n*1e3,
		s.CPU.ControllerManager/n*1e3, s.Peak>>20, (s.Foreign+s.Steal)*100)
}

func (r *Runner) say(format string, args ...any) { _, _ = fmt.Fprintf(r.Log, format+"\n", args...) }
