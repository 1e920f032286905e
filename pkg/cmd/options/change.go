// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package options

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/rotate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/verify"
)

// Change are the flags of commands that change what writes: they make a plan, ask for consent, and carry it out.
type Change struct {
	Shared
	Agent     Agent
	Migration Migration
	Consent   Consent

	DryRun bool
	Output string
}

// AddFlags registers the flags.
func (c *Change) AddFlags(cmd *cobra.Command) {
	c.Migration.AddFlags(cmd)
	c.AddFlagsWithoutMigration(cmd)
}

// AddFlagsWithoutMigration registers the flags for a command that migrates nothing.
func (c *Change) AddFlagsWithoutMigration(cmd *cobra.Command) {
	Streaming(cmd)
	flags := cmd.Flags()
	c.Migration.Engine = cmp.Or(c.Migration.Engine, string(migrator.Native))
	c.Agent.AddFlags(flags)
	c.Consent.AddFlags(flags)
	flags.BoolVar(&c.DryRun, "dry-run", false, "Print the plan and change nothing")
	flags.StringVarP(&c.Output, "output", "o", "", "Output format. With --dry-run one of: (json, yaml), else json: one event per line")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

// Validate checks the flags.
func (c *Change) Validate() error {
	switch {
	case !slices.Contains([]string{"", "json", "yaml"}, c.Output):
		return fmt.Errorf("--output %q is not one of json, yaml", c.Output)
	case c.Output == "yaml" && !c.DryRun:
		return errors.New("--output yaml is for --dry-run; events are printed as text or json")
	}
	return errors.Join(c.Agent.Validate(), c.Migration.Validate())
}

// Run makes a plan, asks for consent, and does it. The options say what for; the flags fill in the rest.
func (c *Change) Run(ctx context.Context, o rotate.Options) error {
	return c.RunAfter(ctx, func(context.Context, *kube.Cluster, event.Sink) (rotate.Options, error) { return o, nil })
}

// RunAfter is Run for a command that has to look at the cluster first, to know what for.
func (c *Change) RunAfter(ctx context.Context, look func(context.Context, *kube.Cluster, event.Sink) (rotate.Options, error)) error {
	cluster, err := c.Connect()
	if err != nil {
		return err
	}
	emit, closeSink := c.Sink(c.Output)
	defer closeSink()
	o, err := look(ctx, cluster, emit)
	if err != nil {
		return err
	}
	settings := c.Agent.Settings(emit)
	settings.Ignore = o.Settings.Ignore
	o.Settings, o.Migration = settings, c.Migration.Settings()
	o.Count, o.DryRun = c.counter(cluster), c.DryRun
	run, err := rotate.New(cluster, o)
	if err != nil {
		return err
	}
	if err := run.Preflight(ctx); err != nil {
		return err
	}
	planned, err := run.Plan(ctx, Cluster(cluster))
	if err != nil {
		return err
	}
	if c.DryRun {
		return PrintPlan(planned, WritePlan, c.Output, c.Out)
	}
	if c.Output != "json" {
		WritePlan(planned, c.ErrOut)
	}
	if err := c.Consent.Get(ctx, c.Shared, "Continue?"); err != nil {
		return err
	}
	return carryOut(ctx, run, emit)
}

// counter counts what etcd holds with the agent that the change uses. No object is named, so no name is kept.
func (c *Change) counter(cluster *kube.Cluster) func(context.Context, event.Sink) (*ledger.Verification, error) {
	return func(ctx context.Context, emit event.Sink) (*ledger.Verification, error) {
		return verify.Online{
			Cluster: cluster, Observer: observe.New(cluster), Image: c.Agent.Image, JobTimeout: c.Agent.JobTimeout, Emit: emit,
		}.Count(ctx, Who())
	}
}

// Quiet leaves out the steps of looking, which the plan does not count, and keeps their progress.
func Quiet(emit event.Sink) event.Sink {
	return func(e event.Event) {
		switch e.(type) {
		case event.StepStarted, event.StepDone:
		default:
			emit(e)
		}
	}
}

func carryOut(ctx context.Context, run *rotate.Run, emit event.Sink) error {
	started := time.Now()
	if err := run.Do(ctx); err != nil {
		emit(Failed(err))
		return err
	}
	emit(event.Finished{Text: run.Result(), Elapsed: time.Since(started)})
	return nil
}

// ignoreNodeUsage is that of --ignore-node.
const ignoreNodeUsage = "Control-plane nodes to go on without, if their Node object is gone or their kubelet silent, and their kube-apiserver does not serve"

// AddIgnoreNode registers the flag of commands that can go on without a node.
func AddIgnoreNode(flags *pflag.FlagSet, nodes *[]string) {
	flags.StringSliceVar(nodes, "ignore-node", nil, ignoreNodeUsage)
}

// CheckIgnoreNode refuses names that no node can have.
func CheckIgnoreNode(nodes []string) error {
	for _, name := range nodes {
		if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
			return fmt.Errorf("--ignore-node %q is not the name of a node", name)
		}
	}
	return nil
}

// CheckRollbackAfter refuses times in which no kube-apiserver could be ready.
func CheckRollbackAfter(d time.Duration) error {
	const least, most = 10 * time.Second, time.Hour
	if d < least || d > most {
		return fmt.Errorf("--rollback-after must be from %s to %s", least, most)
	}
	return nil
}

// Providers are the names of the providers that can encrypt with a local key, for completion.
func Providers() []string {
	var list []string
	for _, p := range encconfig.LocalProviders() {
		list = append(list, string(p))
	}
	return list
}
