// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cmd puts the commands together.
package cmd

import (
	"flag"
	"io"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/completion"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/disable"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/enable"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/history"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/join"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/migrate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/prune"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/repair"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/rollback"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/rotate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/status"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/verify"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/version"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// NewRoot makes the root command.
func NewRoot(streams genericiooptions.IOStreams, lookupEnv func(string) (string, bool)) *cobra.Command {
	shared := options.Shared{Config: genericclioptions.NewConfigFlags(true), IOStreams: streams, LookupEnv: lookupEnv, Stream: &options.Stream{}}
	root := &cobra.Command{
		Use:         project.Name,
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: project.Command},
		Short:       "Manage encryption at rest of a cluster's data",
		Long: templates.LongDesc(`
			Manage encryption at rest of the data that kube-apiserver stores in etcd: turn it on and off, rotate keys,
			migrate what is stored, and prove what it is stored with.

			It works on control planes whose kube-apiservers run as static pods, as kubeadm makes them.`),
		Example: templates.Examples(`
			# Is all well?
			kubectl encryption status

			# Encrypt Secrets and ConfigMaps
			kubectl encryption enable

			# Rotate the key and migrate everything that is stored
			kubectl encryption rotate

			# Go on with a rotation that stopped
			kubectl encryption rotate --resume

			# Migrate what is stale of some resources
			kubectl encryption migrate --resources secrets,configmaps

			# Prove from the bytes in etcd that everything is encrypted
			kubectl encryption verify

			# Bring control-plane nodes whose files differ, or are lost, to one configuration
			kubectl encryption repair`),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.CompletionOptions.DisableDefaultCmd = true
	shared.Config.AddFlags(root.PersistentFlags())
	root.PersistentPreRun = addVerbosity(root)
	root.AddCommand(
		status.NewCommand(shared),
		enable.NewCommand(shared),
		rotate.NewCommand(shared),
		migrate.NewCommand(shared),
		verify.NewCommand(shared),
		disable.NewCommand(shared),
		repair.NewCommand(shared),
		history.NewCommand(shared),
		rollback.NewCommand(shared),
		prune.NewCommand(shared),
		join.NewCommand(shared),
		version.NewCommand(shared),
		completion.NewCommand(shared),
	)
	for _, c := range root.Commands() {
		if c.RunE != nil {
			c.RunE = shared.Finish(c.RunE)
		}
	}
	return root
}

// addVerbosity takes klog's -v and hides its other flags, which nobody needs here. Without -v the client libraries' log
// is for nobody: what went wrong is told by the commands, in their own words. It is silenced when a command begins.
func addVerbosity(root *cobra.Command) (begin func(*cobra.Command, []string)) {
	set := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(set)
	root.PersistentFlags().AddGoFlag(set.Lookup("v"))
	root.PersistentFlags().Lookup("v").Usage = "Verbosity of the client libraries' log"
	// Since klog 2.140 -v shows nothing on stderr without these two.
	for name, value := range map[string]string{"legacy_stderr_threshold_behavior": "false", "stderrthreshold": "INFO"} {
		if f := set.Lookup(name); f != nil {
			_ = f.Value.Set(value)
		}
	}
	return func(*cobra.Command, []string) {
		if set.Lookup("v").Value.String() == "0" {
			_ = set.Lookup("logtostderr").Value.Set("false")
			_ = set.Lookup("stderrthreshold").Value.Set("FATAL")
			klog.SetOutput(io.Discard)
		}
	}
}
