// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package prune is the command prune.
package prune

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/history"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/rotate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/verify"
)

// Flags are what the user typed.
type Flags struct {
	options.Change

	Keys    []string
	Keep    int
	History bool
	Wait    bool
	Resume  bool
}

// NewCommand makes the command.
func NewCommand(shared options.Shared) *cobra.Command {
	f := &Flags{Change: options.Change{Shared: shared}}
	cmd := &cobra.Command{
		Use: "prune", Short: "Take keys out that nothing in etcd needs",
		Long: templates.LongDesc(`
			Take keys out of the configuration that nothing in etcd needs: those beyond --keep, or those named with --key.

			Every value in etcd is counted first, of all resources, and once more when the command has the lock. A key leaves
			only if no value is stored with it and superseded revisions that may be are compacted: two intervals of
			kube-apiserver's compaction after a migration away from it, or after a count that found nothing (--wait waits for
			that). Where etcd can't be counted, or not all of it can be told, no key leaves. One that is named with --key and
			needed is refused, with the number of values and their resources. The write key never leaves, and the one before
			it only if it is named.

			A backup of etcd needs the keys of its time, and no program knows of all backups. So a key stays in the nodes'
			histories, from where rollback can bring it back. With --history it is destroyed there too, for good: every
			revision that holds it is removed. That is for keys that are named alone; --yes does not cover any other.

			Exit codes: 0 done, 1 error or a named key is needed, 124 a kube-apiserver has not loaded its file in time (resume
			later), 130 interrupted.`),
		Example: templates.Examples(`
			# Which keys would leave?
			kubectl encryption prune --dry-run

			# Keep three keys
			kubectl encryption prune --keep 3

			# Take one key out, when superseded revisions are compacted
			kubectl encryption prune --key aesgcm/2 --wait

			# Destroy it: no backup that needs it can be read any more
			kubectl encryption prune --key aesgcm/2 --history

			# Go on with a prune that stopped
			kubectl encryption prune --resume`),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.Validate(cmd.Flags().Changed); err != nil {
				return err
			}
			return f.RunAfter(cmd.Context(), f.look)
		},
	}
	f.AddFlags(cmd)
	return cmd
}

// AddFlags registers the flags, without those of migrations: it migrates nothing.
func (f *Flags) AddFlags(cmd *cobra.Command) {
	f.AddFlagsWithoutMigration(cmd)
	flags := cmd.Flags()
	flags.StringSliceVar(&f.Keys, "key", nil, "Keys to take out, as PROVIDER/NAME or NAME (default those beyond --keep)")
	flags.IntVar(&f.Keep, "keep", plan.DefaultKeep, "How many keys each rule keeps, the write key and the one before it among them")
	flags.BoolVar(&f.History, "history", false, "With --key: destroy them in the nodes' histories too, from where nothing brings them back")
	flags.BoolVar(&f.Wait, "wait", false, "Wait until revisions of etcd that were superseded are compacted")
	flags.BoolVar(&f.Resume, "resume", false, "Go on with a prune that stopped")
	_ = cmd.RegisterFlagCompletionFunc("key", cobra.NoFileCompletions)
}

// Validate checks the flags by themselves. Given tells of a flag whether the user has set it.
func (f *Flags) Validate(given func(name string) bool) error {
	switch {
	case f.Resume && (given("key") || given("keep") || given("history") || given("wait")):
		return errors.New("--resume goes on with the keys that are on record; --key, --keep, --history and --wait are for a new prune")
	case given("key") && given("keep"):
		return errors.New("--key and --keep exclude each other: keys are named, or retention chooses them")
	case given("key") && (len(f.Keys) == 0 || slices.Contains(f.Keys, "")):
		return errors.New("--key must name a key, such as aesgcm/2")
	case f.History && len(f.Keys) == 0:
		return hint.Errorf("name each with --key", "--history destroys keys, and does so only to those that are named")
	case f.Keep < plan.MinKeep:
		return fmt.Errorf("--keep must be at least %d: the write key and the one before it", plan.MinKeep)
	}
	return f.Change.Validate()
}

// look counts what etcd holds, and looks at the nodes.
func (f *Flags) look(ctx context.Context, cluster *kube.Cluster, emit event.Sink) (rotate.Options, error) {
	o := rotate.Options{Mode: rotate.Prune, Continue: f.Resume, Keep: f.Keep, Keys: f.Keys, Forget: f.History, Wait: f.Wait}
	o.CountAll = func(ctx context.Context, emit event.Sink) (*rotate.Usage, error) {
		return verify.Online{
			Cluster: cluster, Observer: observe.New(cluster), Image: f.Agent.Image, JobTimeout: f.Agent.JobTimeout, Emit: emit,
		}.Usage(ctx, options.Who())
	}
	if f.Resume {
		return o, nil
	}
	answers, err := history.Reader{Cluster: cluster, Image: f.Agent.Image, JobTimeout: f.Agent.JobTimeout, Emit: options.Quiet(emit)}.Read(ctx)
	if err != nil {
		return o, err
	}
	if _, err := history.Nodes(answers); err != nil {
		return o, hint.AtStage(err, "", "nothing was changed")
	}
	o.Seen = map[string]agentapi.State{}
	for _, a := range answers {
		o.Seen[a.Node] = *a.State
	}
	if o.SeenUsage, err = o.CountAll(ctx, options.Quiet(emit)); err != nil {
		return o, hint.AtStage(fmt.Errorf("what etcd holds can't be counted, and without that no key is taken out: %w", err), "", "nothing was changed",
			"a rotation takes keys beyond its --keep out by the proof of its own migrations: kubectl encryption rotate")
	}
	return o, nil
}
