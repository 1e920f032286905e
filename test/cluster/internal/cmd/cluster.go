// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/cluster"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/encryption"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubeadm"
)

func newUp() *cobra.Command {
	var options cluster.Options
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a cluster",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := options.Validate(); err != nil {
				return err
			}
			return cluster.Up(cmd.Context(), options, cmd.ErrOrStderr())
		},
	}
	addDir(cmd, &options.Dir, defaultDir)
	addKubernetes(cmd, &options.Kubernetes)
	flags := cmd.Flags()
	flags.IntVar(&options.Nodes, "nodes", 1, "control-plane nodes, 1 to 3")
	flags.StringVar(&options.Encryption, "encryption", encryption.None, "encryption at rest to start with: none, aesgcm, aescbc or secretbox")
	flags.DurationVar(&options.ReloadPoll, "reload-poll", kubeadm.StockReloadPoll, "how often a kube-apiserver looks at its encryption configuration")
	flags.DurationVar(&options.Compaction, "compaction", kubeadm.StockCompaction, "how often a kube-apiserver compacts etcd")
	flags.BoolVar(&options.Audit, "audit", false, "write an audit log to var/log/kubernetes/audit of each node")
	flags.StringArrayVar(&options.Images, "load-image", nil, "archive of an image to load on every node (can be repeated)")
	return cmd
}

func newDown() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "down",
		Short: "End a cluster and remove all that belongs to it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cluster.Down(cmd.Context(), dir, cmd.ErrOrStderr())
		},
	}
	addDir(cmd, &dir, defaultDir)
	return cmd
}

func newExec() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "exec NODE -- COMMAND...",
		Short: "Run a command on a node",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			harness, err := cluster.Open(dir, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return harness.Exec(cmd.Context(), args[0], streamsOf(cmd), args[1:])
		},
	}
	addDir(cmd, &dir, defaultDir)
	return cmd
}

func newEtcdctl() *cobra.Command {
	var dir, node string
	cmd := &cobra.Command{
		Use:   "etcdctl -- ARGUMENTS...",
		Short: "Run etcdctl against the etcd of a node",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			harness, err := cluster.Open(dir, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return harness.Etcdctl(cmd.Context(), node, streamsOf(cmd), args)
		},
	}
	addDir(cmd, &dir, defaultDir)
	cmd.Flags().StringVar(&node, "node", "", "node whose etcd to ask (default the first that is on)")
	return cmd
}

func newNode() *cobra.Command {
	cmd := &cobra.Command{Use: "node", Short: "Switch nodes off and on, and add one"}
	cmd.AddCommand(
		newNodeVerb("stop", "Shut a node down in good order", (*cluster.Harness).StopNode),
		newNodeVerb("kill", "Take a node its power: every process of it is killed", (*cluster.Harness).KillNode),
		newNodeVerb("start", "Switch a node on again", (*cluster.Harness).StartNode),
		newNodeAdd(),
		newNodeVerb("join", "Make an added node a part of the control plane", (*cluster.Harness).JoinNode),
	)
	return cmd
}

func newNodeAdd() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "add",
		Short: "Add a node that has containerd and the images, but did not join, and print its name",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withCluster(cmd, dir, func(harness *cluster.Harness) error {
				name, err := harness.AddNode(cmd.Context())
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), name)
				return err
			})
		},
	}
	addDir(cmd, &dir, defaultDir)
	return cmd
}

// nodeVerb is what can be done to one node.
type nodeVerb func(harness *cluster.Harness, ctx context.Context, node string) error

func newNodeVerb(use, short string, verb nodeVerb) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   use + " NODE",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withCluster(cmd, dir, func(harness *cluster.Harness) error {
				return verb(harness, cmd.Context(), args[0])
			})
		},
	}
	addDir(cmd, &dir, defaultDir)
	return cmd
}

func newLoad() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "load FILE.tar...",
		Short: "Load images on every node that is on",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withCluster(cmd, dir, func(harness *cluster.Harness) error {
				return harness.LoadImages(cmd.Context(), args)
			})
		},
	}
	addDir(cmd, &dir, defaultDir)
	return cmd
}

// withCluster opens the cluster for a command that changes it.
func withCluster(cmd *cobra.Command, dir string, do func(*cluster.Harness) error) error {
	harness, unlock, err := cluster.OpenLocked(dir, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer unlock()
	return do(harness)
}
