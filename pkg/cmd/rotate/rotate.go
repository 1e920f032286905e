// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rotate is the command rotate.
package rotate

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/rotate"
)

// Flags are what the user typed.
type Flags struct {
	options.Change

	Provider      string
	Keep          int
	Resume, Abort bool
	IgnoreNode    []string
}

// NewCommand makes the command.
func NewCommand(shared options.Shared) *cobra.Command {
	f := &Flags{Change: options.Change{Shared: shared}}
	cmd := &cobra.Command{
		Use: "rotate", Short: "Rotate the encryption key and migrate everything that is stored",
		Long: long(), Example: examples(), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.Validate(); err != nil {
				return err
			}
			return f.Run(cmd.Context(), rotate.Options{
				Mode: f.mode(), Provider: encconfig.Provider(f.Provider), Keep: f.Keep, Settings: operation.Settings{Ignore: f.IgnoreNode},
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
	flags.StringVar(&f.Provider, "provider", "", "Provider of the new key: aesgcm, secretbox or aescbc (default that of the write key)")
	flags.IntVar(&f.Keep, "keep", plan.DefaultKeep, "How many keys the configuration keeps, the write key and the one before it among them")
	flags.BoolVar(&f.Resume, "resume", false, "Go on with a rotation that stopped")
	flags.BoolVar(&f.Abort, "abort", false, "Take the new key back, which is possible while nothing is written with it")
	options.AddIgnoreNode(flags, &f.IgnoreNode)
	_ = cmd.RegisterFlagCompletionFunc("provider", cobra.FixedCompletions(options.Providers(), cobra.ShellCompDirectiveNoFileComp))
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
	case f.Abort && len(f.IgnoreNode) > 0:
		return errors.New("--abort needs every node: one that is left out may have the key, and may have written with it")
	case f.Keep < plan.MinKeep:
		return fmt.Errorf("--keep must be at least %d: the write key and the one before it", plan.MinKeep)
	}
	return errors.Join(options.CheckIgnoreNode(f.IgnoreNode), f.Change.Validate())
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
