// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package enable is the command enable.
package enable

import (
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/plan"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/rotate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/staticpod"
)

// Flags are what the user typed.
type Flags struct {
	options.Change

	Provider      string
	Resources     []string
	ConfigDir     string
	RollbackAfter time.Duration
	Keep          int
	Resume        bool
	IgnoreNode    []string
}

// NewCommand makes the command.
func NewCommand(shared options.Shared) *cobra.Command {
	f := &Flags{Change: options.Change{Shared: shared}}
	cmd := &cobra.Command{
		Use: "enable", Short: "Turn encryption on, or change its provider or its resources",
		Long: long(), Example: examples(), Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.Validate(cmd); err != nil {
				return err
			}
			o := rotate.Options{
				Mode: rotate.Enable, Continue: f.Resume, Provider: encconfig.Provider(f.Provider), Resources: f.Resources,
				RollbackAfter: f.RollbackAfter, Keep: f.Keep, Settings: operation.Settings{Ignore: f.IgnoreNode},
			}
			if cmd.Flags().Changed("config-dir") {
				o.ConfigDir = path.Clean(f.ConfigDir)
			}
			return f.Run(cmd.Context(), o)
		},
	}
	f.AddFlags(cmd)
	return cmd
}

// AddFlags registers the flags.
func (f *Flags) AddFlags(cmd *cobra.Command) {
	f.Change.AddFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.Provider, "provider", "", "Provider of the key: aesgcm, secretbox or aescbc (default that of the write key, else aesgcm)")
	flags.StringSliceVar(&f.Resources, "resources", nil,
		"Resources to encrypt besides those that are, with their group where they have one; wildcards such as *.apps and *.* too (default secrets,configmaps where nothing is encrypted)")
	flags.StringVar(&f.ConfigDir, "config-dir", project.DefaultConfigDir, "Folder for the configuration on nodes that have none, which is mounted into kube-apiserver")
	flags.DurationVar(&f.RollbackAfter, "rollback-after", rotate.DefaultRollbackAfter,
		"How long a kube-apiserver may take to be ready with its edited manifest, before its node puts the old one back")
	flags.IntVar(&f.Keep, "keep", plan.DefaultKeep, "How many keys the configuration keeps, the write key and the one before it among them")
	flags.BoolVar(&f.Resume, "resume", false, "Go on with an enable that stopped")
	options.AddIgnoreNode(flags, &f.IgnoreNode)
	_ = cmd.RegisterFlagCompletionFunc("provider", cobra.FixedCompletions(options.Providers(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("resources", cobra.FixedCompletions(rotate.DefaultResources(), cobra.ShellCompDirectiveNoFileComp))
}

// Validate checks the flags by themselves.
func (f *Flags) Validate(cmd *cobra.Command) error {
	if f.Provider != "" {
		if _, err := encconfig.ParseProvider(f.Provider); err != nil {
			return err
		}
	}
	given := func(name string) bool { return cmd.Flags().Changed(name) }
	switch {
	case f.Resume && (given("provider") || given("resources") || given("config-dir")):
		return errors.New("--resume goes on with what was asked for; --provider, --resources and --config-dir are for a new start")
	case f.Keep < plan.MinKeep:
		return fmt.Errorf("--keep must be at least %d: the write key and the one before it", plan.MinKeep)
	}
	return errors.Join(options.CheckIgnoreNode(f.IgnoreNode), checkDir(f.ConfigDir), options.CheckRollbackAfter(f.RollbackAfter), encconfig.CheckResources(f.Resources), f.Change.Validate())
}

// checkDir refuses folders whose mount would hide what kube-apiserver needs, or show what it does not.
func checkDir(dir string) error {
	if path.Clean(dir) == project.NodeHistoryDir {
		return fmt.Errorf("--config-dir %s holds the keys that were, which kube-apiserver has no business with", dir)
	}
	if err := errors.Join(staticpod.CheckFile(path.Join(dir, project.ConfigFile)), staticpod.CheckMount(path.Clean(dir))); err != nil {
		return fmt.Errorf("--config-dir %q: %w", dir, err)
	}
	return nil
}
