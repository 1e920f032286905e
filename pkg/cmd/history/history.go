// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package history is the command history.
package history

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/history"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/version"
)

// Flags are the command's flags.
type Flags struct {
	options.Shared
	Print *genericclioptions.PrintFlags

	Image      string
	JobTimeout time.Duration
}

// Options is what Run needs.
type Options struct {
	// Read asks the nodes.
	Read    func(context.Context) ([]history.Answer, error)
	Cluster v1alpha1.Cluster
	Print   func(runtime.Object, io.Writer) error
	Out     io.Writer
}

// NewCommand makes the command.
func NewCommand(shared options.Shared) *cobra.Command {
	f := &Flags{Shared: shared, Print: genericclioptions.NewPrintFlags("")}
	cmd := &cobra.Command{
		Use: "history", Short: "Show which configurations the control-plane nodes keep",
		Long: templates.LongDesc(`
			Show, for each control-plane node, the encryption configurations that it keeps: the one in its file and those
			before, with their keys by name and fingerprint. No key is shown.

			Read-only agents look into each node's history, all at the same time; nothing is changed. A node that can't be
			asked is named, and the others are shown. A revision's number is each node's own; the digest is the same wherever
			the same configuration is.

			Exit codes: 0 done, 1 error or a node did not tell all, 130 interrupted.`),
		Example: templates.Examples(`
			# Which configurations are kept?
			kubectl encryption history

			# With fingerprints and resources
			kubectl encryption history -o wide

			# The digest that every node has, empty if they differ
			kubectl encryption history -o jsonpath='{.digest}'`),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.Validate(); err != nil {
				return err
			}
			o, closeSink, err := f.ToOptions()
			if err != nil {
				return err
			}
			defer closeSink()
			return o.Run(cmd.Context())
		},
	}
	f.AddFlags(cmd)
	return cmd
}

// AddFlags registers the flags.
func (f *Flags) AddFlags(cmd *cobra.Command) {
	f.Print.AddFlags(cmd)
	if flag := cmd.Flags().Lookup("output"); flag != nil {
		flag.Usage = strings.Replace(flag.Usage, "(", "(wide, ", 1)
	}
	flags := cmd.Flags()
	flags.StringVar(&f.Image, "agent-image", version.Get().AgentImage, "Image of the agent that runs on control-plane nodes, by digest")
	flags.DurationVar(&f.JobTimeout, "job-timeout", operation.DefaultJobTimeout, "How long an agent may take to start on its node")
}

// Validate checks the flags by themselves.
func (f *Flags) Validate() error {
	switch {
	case f.JobTimeout <= 0:
		return errors.New("--job-timeout must be longer than nothing")
	case f.Image == "":
		return errors.New("--agent-image must name an image")
	}
	return nil
}

// ToOptions makes clients and a printer.
func (f *Flags) ToOptions() (*Options, func(), error) {
	o := &Options{Out: f.Out}
	switch *f.Print.OutputFormat {
	case "", "wide":
		o.Print = table(*f.Print.OutputFormat == "wide")
	default:
		p, err := f.Print.ToPrinter()
		if err != nil {
			return nil, nil, err
		}
		o.Print = p.PrintObj
	}
	cluster, err := f.Connect()
	if err != nil {
		return nil, nil, err
	}
	emit, closeSink := f.Sink("") // progress; the result is printed as a whole
	o.Cluster = options.Cluster(cluster)
	reader := history.Reader{Cluster: cluster, Image: f.Image, JobTimeout: f.JobTimeout, Emit: emit}
	o.Read = func(ctx context.Context) ([]history.Answer, error) {
		defer closeSink() // before anything is printed
		return reader.Read(ctx)
	}
	return o, closeSink, nil
}

// Run prints what the nodes keep.
func (o *Options) Run(ctx context.Context) error {
	answers, err := o.Read(ctx)
	if err != nil {
		return err
	}
	report := history.Report(answers, o.Cluster)
	if err := o.Print(report, o.Out); err != nil {
		return err
	}
	if !report.Complete {
		return &hint.Error{Err: errors.New("not every node has told all that it keeps, see above"), Safe: "nothing was changed"}
	}
	return nil
}
