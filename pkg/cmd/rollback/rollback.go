// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rollback is the command rollback.
package rollback

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/history"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/revision"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/rotate"
)

// Flags are what the user typed.
type Flags struct {
	options.Change

	To     string
	Resume bool
}

// NewCommand makes the command.
func NewCommand(shared options.Shared) *cobra.Command {
	f := &Flags{Change: options.Change{Shared: shared}}
	cmd := &cobra.Command{
		Use: "rollback --to REVISION", Short: "Let the key of an earlier configuration write again",
		Long: templates.LongDesc(`
			Let the key that an earlier configuration wrote with write again, and migrate everything that is encrypted to it.

			It goes forward, as a rotation does: the earlier key is promoted on every node once each kube-apiserver has
			proven that it reads it, and what is stored follows. A key that has left the configuration is taken from the
			history of a node that keeps it, and becomes a read key first. Newer keys stay as read keys, and the next rotation
			makes a new one. Which resources are encrypted does not change.

			A revision is named by its number, as history shows it; where nodes have different configurations under one
			number, by NODE/NUMBER or by the digest. A configuration that stores everything in plaintext is no target: that
			is disable.

			It can be stopped at any time, also by force, and gone on with: --resume.

			Exit codes: 0 done, 1 error, 2 done, and etcd holds values that are not stored with the key, 124 a kube-apiserver
			has not loaded its file in time (resume later), 130 interrupted.`),
		Example: templates.Examples(`
			# What is there to go back to?
			kubectl encryption history

			# What would be done
			kubectl encryption rollback --to 3 --dry-run

			# Show the plan, ask, and roll back
			kubectl encryption rollback --to 3

			# Name the configuration by its digest
			kubectl encryption rollback --to sha256:befe76d39dfc

			# Go on with a rollback that stopped
			kubectl encryption rollback --resume`),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.Validate(); err != nil {
				return err
			}
			return f.RunAfter(cmd.Context(), f.look)
		},
	}
	f.AddFlags(cmd)
	return cmd
}

// AddFlags registers the flags.
func (f *Flags) AddFlags(cmd *cobra.Command) {
	f.Change.AddFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.To, "to", "", "Revision whose write key is to write again: a number, NODE/NUMBER, or a digest or its beginning, as history shows them")
	flags.BoolVar(&f.Resume, "resume", false, "Go on with a rollback that stopped")
	_ = cmd.RegisterFlagCompletionFunc("to", cobra.NoFileCompletions)
}

// Validate checks the flags by themselves.
func (f *Flags) Validate() error {
	switch {
	case f.Resume && f.To != "":
		return errors.New("--to is for a new rollback; --resume goes on with the one that is on record")
	case !f.Resume && f.To == "":
		return hint.Errorf("see what there is with: kubectl encryption history", "--to must name a revision")
	case f.To != "":
		if err := revision.Check(f.To); err != nil {
			return err
		}
	}
	return f.Change.Validate()
}

// look finds the key to go back to in the nodes' histories.
func (f *Flags) look(ctx context.Context, cluster *kube.Cluster, emit event.Sink) (rotate.Options, error) {
	o := rotate.Options{Mode: rotate.Rollback, Continue: f.Resume, Keep: plan.DefaultKeep}
	if f.Resume {
		return o, nil
	}
	answers, err := history.Reader{Cluster: cluster, Image: f.Agent.Image, JobTimeout: f.Agent.JobTimeout, Emit: options.Quiet(emit)}.Read(ctx)
	if err != nil {
		return o, err
	}
	if o.Target, err = target(answers, f.To); err != nil {
		return o, hint.AtStage(err, "", "nothing was changed")
	}
	o.Seen = map[string]agentapi.State{}
	for _, a := range answers {
		o.Seen[a.Node] = *a.State
	}
	return o, nil
}

// target is the key that a revision writes with. Every node has to tell all that it keeps: the name of the key may stand for
// another one on a node that does not.
func target(answers []history.Answer, to string) (k encconfig.Key, err error) {
	nodes, err := history.Nodes(answers)
	if err != nil {
		return k, err
	}
	d, err := revision.Find(nodes, to)
	if err != nil {
		return k, err
	}
	return revision.Target(d)
}
