// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package verify is the command verify.
package verify

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
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/verify"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/version"
)

// Flags are the command's flags.
type Flags struct {
	options.Shared
	Print *genericclioptions.PrintFlags

	Resources []string
	All       bool
	Decrypt   bool
	Residue   bool

	Image      string
	JobTimeout time.Duration
	MaxRate    float64

	Snapshot      string
	Config        string
	Prefix        string
	AcceptAltered bool
}

// Options is what Run needs.
type Options struct {
	// Verify reads what is stored.
	Verify  func(context.Context) (*verify.Result, error)
	Cluster v1alpha1.Cluster
	// Target is for the commands in hints.
	Target options.Target
	Print  func(runtime.Object, io.Writer) error
	Out    io.Writer
}

// NewCommand makes the command.
func NewCommand(shared options.Shared) *cobra.Command {
	_, cmd := newCommand(shared)
	return cmd
}

func newCommand(shared options.Shared) (*Flags, *cobra.Command) {
	f := &Flags{Shared: shared, Print: genericclioptions.NewPrintFlags("")}
	cmd := &cobra.Command{
		Use:   "verify [--snapshot FILE [--config FILE]]",
		Short: "Prove from the bytes in etcd what is stored under which key",
		Long: templates.LongDesc(`
			Read what etcd holds, and count by resource, provider and key: what is stored as the configuration would
			store it now, what is stale, in plaintext, under a key that is missing, or damaged.

			A read-only agent on one control-plane node reads etcd with the kube-apiserver's own certificate. Each value
			in etcd begins with the provider and the key that it was stored with; with --decrypt it is opened as well, on
			the node, with the node's keys. No value leaves the node: only counts, and the names of objects that are not
			as they should be. Nothing is changed but the record: the numbers go into the ledger, for status to show, if that
			may be written.

			With --snapshot a snapshot of etcd, or the db file of a member that is stopped, is read instead, on this
			machine and without a cluster: which keys does this backup need? With --config: does this configuration have
			them, and with --decrypt: do they open all of it?

			With --residue the files of etcd are searched as well, on each control-plane node or in the snapshot, for what is
			left of values that are not under the present key: superseded revisions, free pages of the database, the
			write-ahead log. It is told with what clears it, and with what no program can find.

			Exit codes: 0 all is stored as configured, 1 error or not everything could be looked at, 2 something is not,
			130 interrupted. With --residue 2 also if old values are left, and 1 if it could not be told. Of a file without --config: 0 unless something in it can't be read with any key.`),
		Example: templates.Examples(`
			# Is everything encrypted, and by which key?
			kubectl encryption verify

			# Does each value open, and which do not? Every name
			kubectl encryption verify --decrypt --all

			# Two resources, slowly
			kubectl encryption verify --resources secrets,widgets.example.com --max-rate 1000

			# After enabling or rotating: what of the old values is still on the disks?
			kubectl encryption verify --residue

			# Which keys does this backup need?
			kubectl encryption verify --snapshot etcd.db

			# Does this configuration open all of it?
			kubectl encryption verify --snapshot etcd.db --config config.yaml --decrypt`),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.Validate(cmd.Flags().Changed); err != nil {
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
	f.addFlags(cmd)
	return f, cmd
}

func (f *Flags) addFlags(cmd *cobra.Command) {
	f.Print.AddFlags(cmd)
	if flag := cmd.Flags().Lookup("output"); flag != nil {
		flag.Usage = strings.Replace(flag.Usage, "(", "(wide, ", 1)
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.Resources, "resources", nil, "Resources to look at, with their group where they have one: secrets,widgets.example.com "+
		"(default those that the configuration has keys for; of a file all)")
	flags.BoolVar(&f.All, "all", false, "Name every object that is not as it should be, not the first 100 of each group")
	flags.BoolVar(&f.Decrypt, "decrypt", false, "Open each value, with the keys of the node or of --config")
	flags.BoolVar(&f.Residue, "residue", false, "Search the files of etcd for what is left of values that are not under the present key, at 64 MiB/s at most")
	flags.Float64Var(&f.MaxRate, "max-rate", 0, "Values per second at most that are read from etcd, at least 1; 0 is no limit")
	flags.StringVar(&f.Image, "agent-image", version.Get().AgentImage, "Image of the agent that runs on a control-plane node, by digest")
	flags.DurationVar(&f.JobTimeout, "job-timeout", operation.DefaultJobTimeout, "How long an agent may take to start on its node")
	flags.StringVar(&f.Snapshot, "snapshot", "", "Read this snapshot of etcd, or db file of a stopped member, instead of a cluster")
	flags.StringVar(&f.Config, "config", "", "With --snapshot: the EncryptionConfiguration to judge by")
	flags.StringVar(&f.Prefix, "etcd-prefix", etcdkey.DefaultPrefix, "With --snapshot: the kube-apiservers' flag of this name")
	flags.BoolVar(&f.AcceptAltered, "accept-altered", false, "With --snapshot: read a snapshot whose hash does not fit, too")
	_ = cmd.RegisterFlagCompletionFunc("resources", cobra.FixedCompletions([]string{"secrets", "configmaps"}, cobra.ShellCompDirectiveNoFileComp))
}

// Validate checks the flags by themselves. Given tells of a flag whether the user has set it.
func (f *Flags) Validate(given func(name string) bool) error {
	alone := []string{"agent-image", "job-timeout", "max-rate"}
	switch {
	case f.Snapshot == "":
		alone = []string{"snapshot", "config", "etcd-prefix", "accept-altered"}
	case f.Residue && f.Config == "":
		return errors.New("--residue needs to know which key is the present one: --config names the EncryptionConfiguration")
	case f.Decrypt && f.Config == "":
		return errors.New("--decrypt needs keys: --config names the EncryptionConfiguration that has them")
	}
	for _, name := range alone {
		switch {
		case !given(name):
		case name == "snapshot":
			return errors.New("--snapshot must name a file")
		case f.Snapshot == "":
			return errors.New("--" + name + " is for --snapshot")
		default:
			return errors.New("--" + name + " is for a cluster, not for --snapshot")
		}
	}
	switch {
	case given("resources") && len(f.Resources) == 0:
		return errors.New("--resources must name what to look at, such as --resources secrets,configmaps")
	case f.Snapshot == "" && f.JobTimeout <= 0:
		return errors.New("--job-timeout must be longer than nothing")
	case f.Snapshot == "" && f.Image == "":
		return errors.New("--agent-image must name an image")
	case f.MaxRate != 0 && !(f.MaxRate >= 1): // which a NaN is not
		return errors.New("--max-rate must be 0, for no limit, or at least 1")
	}
	return encconfig.CheckResources(f.Resources)
}

// ToOptions makes a printer, and clients unless it is about a file.
func (f *Flags) ToOptions() (*Options, func(), error) {
	show, err := f.printer()
	if err != nil {
		return nil, nil, err
	}
	names := census.FirstNames
	if f.All {
		names = census.AllNames
	}
	o := &Options{Print: show, Out: f.Out, Target: options.TargetOf(f.Shared.Config)}
	if f.Snapshot != "" {
		o.Verify = verify.Offline{
			File: f.Snapshot, Config: f.Config, Prefix: f.Prefix, Resources: f.Resources,
			Names: names, Decrypt: f.Decrypt, AcceptAltered: f.AcceptAltered, Residue: f.Residue,
		}.Run
		return o, func() {}, nil
	}
	cluster, err := f.Connect()
	if err != nil {
		return nil, nil, err
	}
	emit, closeSink := f.Sink("") // progress; what was found is printed as a whole
	o.Cluster = options.Cluster(cluster)
	online := verify.Online{
		Cluster: cluster, Observer: observe.New(cluster), Image: f.Image, JobTimeout: f.JobTimeout,
		Resources: f.Resources, Names: names, Decrypt: f.Decrypt, MaxRate: f.MaxRate, Residue: f.Residue, Emit: emit,
	}
	o.Verify = func(ctx context.Context) (*verify.Result, error) {
		defer closeSink() // before anything is printed
		result, err := online.Run(ctx)
		if err == nil {
			online.Note(ctx, *result, options.Who())
		}
		return result, err
	}
	return o, closeSink, nil
}

func (f *Flags) printer() (func(runtime.Object, io.Writer) error, error) {
	switch *f.Print.OutputFormat {
	case "":
		return table(false), nil
	case "wide":
		return table(true), nil
	}
	p, err := f.Print.ToPrinter()
	if err != nil {
		return nil, err
	}
	return p.PrintObj, nil
}

// Run prints what was found.
func (o *Options) Run(ctx context.Context) error {
	result, err := o.Verify(ctx)
	if err != nil {
		return err
	}
	report := verify.Assess(*result, o.Cluster)
	report.Hints = o.Target.AimAll(report.Hints)
	if report.Residue != nil {
		report.Residue.Hints = o.Target.AimAll(report.Residue.Hints)
	}
	if err := o.Print(report, o.Out); err != nil {
		return err
	}
	return outcome(report)
}

// outcome is the error that a report ends the program with: what is stored now counts for more than what is left of before, and what
// was found for more than what could not be looked at.
func outcome(report *v1alpha1.VerificationReport) error {
	left := ""
	if report.Residue != nil {
		left = report.Residue.Outcome
	}
	switch {
	case report.Outcome == v1alpha1.Found:
		return &hint.Error{Err: errors.New("not everything is stored as it should be, see the verdict"), Exit: hint.ExitDrifted}
	case left == v1alpha1.Found:
		return &hint.Error{Err: errors.New("copies of old values are left on disk, see the residue"), Exit: hint.ExitDrifted}
	case report.Outcome == v1alpha1.Unproven:
		return errors.New("nothing wrong was found, but not everything could be looked at, see the verdict")
	case left == v1alpha1.Unproven:
		return errors.New("no old value was found, but not everything could be searched, see the residue")
	}
	return nil
}
