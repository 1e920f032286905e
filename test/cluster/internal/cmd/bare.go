// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package cmd

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/bare"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/encryption"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubeadm"
)

const defaultBareDir = "_output/bare"

func newBare() *cobra.Command {
	cmd := &cobra.Command{Use: "bare", Short: "A control plane of plain processes, without nodes"}
	cmd.AddCommand(
		newBareUp(), newBareDown(),
		newAPIServerVerb("kill-apiserver", "Kill one kube-apiserver", (*bare.Harness).KillAPIServer),
		newAPIServerVerb("start-apiserver", "Start one kube-apiserver again", (*bare.Harness).StartAPIServer),
	)
	return cmd
}

func newBareUp() *cobra.Command {
	var options bare.Options
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a bare control plane",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := options.Validate(); err != nil {
				return err
			}
			return bare.Up(cmd.Context(), options, cmd.ErrOrStderr())
		},
	}
	addDir(cmd, &options.Dir, defaultBareDir)
	addKubernetes(cmd, &options.Kubernetes)
	flags := cmd.Flags()
	flags.IntVar(&options.APIServers, "apiservers", 1, "kube-apiservers, 1 to 3")
	flags.StringVar(&options.Encryption, "encryption", encryption.None, "encryption at rest to start with: none, aesgcm, aescbc or secretbox")
	flags.BoolVar(&options.Audit, "audit", false, "have each kube-apiserver write an audit log")
	flags.DurationVar(&options.ReloadPoll, "reload-poll", kubeadm.StockReloadPoll, "how often a kube-apiserver looks at its encryption configuration")
	flags.StringVar(&options.EtcdPrefix, "etcd-prefix", "", "what the keys of the kube-apiservers begin with (default: kube-apiserver's own, /registry)")
	flags.StringSliceVar(&options.EtcdOverrides, "etcd-overrides", nil, "resources that are kept in a second etcd: /events, apps/deployments, apps/*")
	return cmd
}

func newBareDown() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "down",
		Short: "End a bare control plane and remove all that belongs to it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return bare.Down(cmd.Context(), dir, cmd.ErrOrStderr())
		},
	}
	addDir(cmd, &dir, defaultBareDir)
	return cmd
}

// apiServerVerb is what can be done to one kube-apiserver.
type apiServerVerb func(harness *bare.Harness, ctx context.Context, number int) error

func newAPIServerVerb(use, short string, verb apiServerVerb) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   use + " NUMBER",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := strconv.Atoi(args[0])
			if err != nil {
				return fmt.Errorf("read number of kube-apiserver: %w", err)
			}
			harness, unlock, err := bare.OpenLocked(dir, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer unlock()
			return verb(harness, cmd.Context(), number)
		},
	}
	addDir(cmd, &dir, defaultBareDir)
	return cmd
}
