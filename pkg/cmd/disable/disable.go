// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package disable is the command disable.
package disable

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/rotate"
)

// Flags are what the user typed.
type Flags struct {
	options.Change

	Resources     []string
	RemoveFlags   bool
	RollbackAfter time.Duration
	Resume        bool
}

// NewCommand makes the command.
func NewCommand(shared options.Shared) *cobra.Command {
	f := &Flags{Change: options.Change{Shared: shared}}
	cmd := &cobra.Command{
		Use: "disable", Short: "Store resources in plaintext again",
		Long: long(), Example: examples(), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.Validate(cmd); err != nil {
				return err
			}
			return f.Run(cmd.Context(), rotate.Options{
				Mode: rotate.Disable, Continue: f.Resume, Resources: f.Resources, RemoveFlags: f.RemoveFlags,
				RollbackAfter: f.RollbackAfter, Keep: plan.DefaultKeep,
			})
		},
	}
	f.AddFlags(cmd)
	return cmd
}

// AddFlags registers the flags.
func (f *Flags) AddFlags(cmd *cobra.Command) {
	f.Change.AddFlags(cmd)
	flags := cmd.Flags()
	flags.StringSliceVar(&f.Resources, "resources", nil, "Resources to store in plaintext, with their group where they have one (default all that are encrypted)")
	flags.BoolVar(&f.RemoveFlags, "remove-flags", false,
		"When nothing is encrypted any more, take flags and mount out of the kube-apiservers' manifests and of kubeadm's configuration")
	flags.DurationVar(&f.RollbackAfter, "rollback-after", rotate.DefaultRollbackAfter,
		"How long a kube-apiserver may take to be ready with its edited manifest, before its node puts the old one back")
	flags.BoolVar(&f.Resume, "resume", false, "Go on with a disable that stopped")
	_ = cmd.RegisterFlagCompletionFunc("resources", cobra.FixedCompletions(rotate.DefaultResources(), cobra.ShellCompDirectiveNoFileComp))
}

// Validate checks the flags by themselves.
func (f *Flags) Validate(cmd *cobra.Command) error {
	switch {
	case f.Resume && (cmd.Flags().Changed("resources") || cmd.Flags().Changed("remove-flags")):
		return errors.New("--resume goes on with what was asked for; --resources and --remove-flags are for a new start")
	case f.RemoveFlags && len(f.Resources) > 0:
		return errors.New("--remove-flags is for the time when nothing is encrypted any more; it goes without --resources")
	}
	return errors.Join(options.CheckRollbackAfter(f.RollbackAfter), encconfig.CheckResources(f.Resources), f.Change.Validate())
}
