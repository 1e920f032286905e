// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package status is the command status.
package status

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/status"
)

// Flags are the command's flags.
type Flags struct {
	options.Shared
	Print    *genericclioptions.PrintFlags
	ExitCode bool
}

// Options is what Run needs.
type Options struct {
	Collect func(context.Context) (*status.Seen, error)
	Cluster v1alpha1.Cluster
	// Target is for the commands in what is told.
	Target   options.Target
	ExitCode bool
	Print    func(runtime.Object, io.Writer) error
	Out      io.Writer
}

// NewCommand makes the command.
func NewCommand(shared options.Shared) *cobra.Command {
	f := &Flags{Shared: shared, Print: genericclioptions.NewPrintFlags("")}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how it is with encryption at rest",
		Long: templates.LongDesc(`
			Show whether encryption at rest is on, which configuration each kube-apiserver has loaded, which key
			writes each resource, and how many objects are stale: not proven to be stored with the write key.

			It changes nothing and starts nothing on the nodes. It asks each kube-apiserver on its own, by
			port-forward to its pod, and lists the metadata of encrypted resources, never their data. What it can't
			prove it calls unknown.

			Objects are stale by the baseline on record: the resourceVersion that was read after every
			kube-apiserver had proven the write key. Where there is none, migrate makes one.

			Exit codes: 0 done, 1 error, and with --exit-code 2 if not all is well.`),
		Example: templates.Examples(`
			# Is all well?
			kubectl encryption status

			# With pods, flags and paths
			kubectl encryption status -o wide

			# Everything, for a program
			kubectl encryption status -o json

			# From a script or a monitor: exit code 0 if all is well, 2 if not
			kubectl encryption status --exit-code`),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := f.ToOptions()
			if err != nil {
				return err
			}
			return o.Run(cmd.Context())
		},
	}
	f.Print.AddFlags(cmd)
	if flag := cmd.Flags().Lookup("output"); flag != nil {
		flag.Usage = strings.Replace(flag.Usage, "(", "(wide, ", 1)
	}
	cmd.Flags().BoolVar(&f.ExitCode, "exit-code", false, "Exit with 2 unless all is well: if anything is stale, drifted or not proven")
	return cmd
}

// ToOptions makes clients and a printer.
func (f *Flags) ToOptions() (*Options, error) {
	o := &Options{ExitCode: f.ExitCode, Out: f.Out, Target: options.TargetOf(f.Config)}
	switch *f.Print.OutputFormat {
	case "":
		o.Print = table(false)
	case "wide":
		o.Print = table(true)
	default:
		p, err := f.Print.ToPrinter()
		if err != nil {
			return nil, err
		}
		o.Print = p.PrintObj
	}
	cluster, err := f.Connect()
	if err != nil {
		return nil, err
	}
	o.Cluster = options.Cluster(cluster)
	o.Collect = status.Collector{Cluster: cluster, Observer: observe.New(cluster)}.Collect
	return o, nil
}

// Run prints the status.
func (o *Options) Run(ctx context.Context) error {
	seen, err := o.Collect(ctx)
	if err != nil {
		return err
	}
	st := status.Assess(seen, o.Cluster)
	aim(st, o.Target)
	if err := o.Print(st, o.Out); err != nil {
		return err
	}
	if o.ExitCode && !st.Healthy {
		return &hint.Error{Err: errors.New("not all is well, see the status"), Exit: hint.ExitDrifted}
	}
	return nil
}

// aim has the commands in a status reach the cluster that it is of.
func aim(st *v1alpha1.EncryptionStatus, target options.Target) {
	st.Summary = target.Aim(st.Summary)
	st.Hints, st.Problems = target.AimAll(st.Hints), target.AimAll(st.Problems)
	for i := range st.Nodes {
		st.Nodes[i].Message = target.Aim(st.Nodes[i].Message)
	}
}
