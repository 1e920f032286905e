// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cmd is the command line of the harness.
package cmd

import (
	"github.com/spf13/cobra"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/cluster"
)

const (
	defaultDir = "_output/cluster"
)

// New returns the command with all its verbs.
func New() *cobra.Command {
	root := &cobra.Command{
		Use:           "cluster",
		Short:         "Start real Kubernetes control planes on this machine",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		newDeps(), newBuild(), newImage(),
		newUp(), newDown(), newExec(), newEtcdctl(), newNode(), newLoad(),
		newBare(),
		newSupervise(), newBalancer(), newUnderName(),
	)
	return root
}

func addDir(cmd *cobra.Command, dir *string, value string) {
	cmd.Flags().StringVar(dir, "dir", value, "folder of the cluster")
}

func streamsOf(cmd *cobra.Command) cluster.Streams {
	return cluster.Streams{In: cmd.InOrStdin(), Out: cmd.OutOrStdout(), Err: cmd.ErrOrStderr()}
}
