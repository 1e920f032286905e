// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package migrate is the command migrate.
package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/rotate"
)

// Flags are the command's flags.
type Flags struct {
	options.Shared
	Agent     options.Agent
	Migration options.Migration

	Resources []string
	Output    string
}

// Options is what Run needs.
type Options struct {
	*Flags
	Migration *rotate.Run
	Cluster   v1alpha1.Cluster
}

// NewCommand makes the command.
func NewCommand(shared options.Shared) *cobra.Command {
	f := &Flags{Shared: shared}
	cmd := &cobra.Command{
		Use:   "migrate --resources RESOURCE[,RESOURCE…]",
		Short: "Migrate stored objects to the write key",
		Long: templates.LongDesc(`
			Rewrite every object of the resources that is not proven to be stored with the write key, and nothing else.

			Each object is rewritten by a patch that changes nothing and carries the object's uid and
			resourceVersion: it creates nothing, overwrites nothing, and the server stores the object again only if it
			was stored with another key. Only metadata is read, never the objects' data. Objects that somebody else
			changes or deletes meanwhile are left to them: what they wrote is stored with the write key already.

			One object is tried first, and one in each namespace whose objects a webhook is asked about, so that what
			stands in the way is told at once. An object that can't be rewritten is left as it is and listed at the end,
			by reason; the exit code is then 1. When --max-failures objects have failed, the migration ends early.

			It goes as fast as the API server answers without others having to wait long. Where etcd has no room for it,
			it does not begin, and says what would help; where room gets short, it pauses and goes on by itself.

			Before it begins, an agent looks at the configuration on every control-plane node, and every kube-apiserver
			proves that it has loaded it. It does not ask for consent: no object's content and no file is changed. It can
			be stopped at any time, and started again.

			Exit codes: 0 done, 1 error or objects left behind, 124 a kube-apiserver has not loaded its file in time, 130
			interrupted.`),
		Example: templates.Examples(`
			# Secrets and ConfigMaps
			kubectl encryption migrate --resources secrets,configmaps

			# A custom resource, slowly
			kubectl encryption migrate --resources widgets.example.com --max-rate 20`),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.Validate(); err != nil {
				return err
			}
			o, emit, closeSink, err := f.ToOptions()
			if err != nil {
				return err
			}
			defer closeSink()
			return o.Run(cmd.Context(), emit)
		},
	}
	options.Streaming(cmd)
	f.Agent.AddFlags(cmd.Flags())
	f.Migration.AddFlags(cmd)
	cmd.Flags().StringSliceVar(&f.Resources, "resources", nil, "Resources to migrate, with their group where they have one: secrets,widgets.example.com")
	cmd.Flags().StringVarP(&f.Output, "output", "o", "", "Output format. json: one event per line, the report among them")
	_ = cmd.RegisterFlagCompletionFunc("resources", cobra.FixedCompletions([]string{"secrets", "configmaps"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// Validate checks the flags by themselves.
func (f *Flags) Validate() error {
	if len(f.Resources) == 0 {
		return errors.New("--resources must name what to migrate, such as --resources secrets,configmaps")
	}
	if !slices.Contains([]string{"", "json"}, f.Output) {
		return fmt.Errorf("--output %q is not json", f.Output)
	}
	return errors.Join(f.Agent.Validate(), f.Migration.Validate())
}

// ToOptions makes clients and the consumer of events.
func (f *Flags) ToOptions() (*Options, event.Sink, func(), error) {
	cluster, err := f.Connect()
	if err != nil {
		return nil, nil, nil, err
	}
	emit, closeSink := f.Sink(f.Output)
	run, err := rotate.New(cluster, rotate.Options{
		Mode: rotate.MigrateOnly, Settings: f.Agent.Settings(emit), Resources: f.Resources, Migration: f.Migration.Settings(),
	})
	if err != nil {
		closeSink()
		return nil, nil, nil, err
	}
	return &Options{Flags: f, Migration: run, Cluster: options.Cluster(cluster)}, emit, closeSink, nil
}

// Run migrates.
func (o *Options) Run(ctx context.Context, emit event.Sink) error {
	if err := o.Migration.Preflight(ctx); err != nil {
		return err
	}
	started := time.Now()
	err := o.Migration.Do(ctx)
	if report := o.report(); len(report.Resources) > 0 {
		emit(event.MigrationReported{Report: report})
	}
	if err != nil {
		emit(options.Failed(err))
		return err
	}
	emit(event.Finished{Text: o.Migration.Result(), Elapsed: time.Since(started)})
	return nil
}

// report is what was done, as a versioned type.
func (o *Options) report() *v1alpha1.MigrationReport {
	report := &v1alpha1.MigrationReport{
		TypeMeta: v1alpha1.New("MigrationReport"), Cluster: o.Cluster, Revision: o.Migration.Digest(), Complete: true,
	}
	groups := migrator.Groups(o.Migration.Reports())
	for _, r := range o.Migration.Reports() {
		one := v1alpha1.ResourceMigration{
			Name: r.Resource.String(), Baseline: r.Baseline, Complete: r.Complete, Objects: r.Listed, Current: r.Skipped,
			Migrated: r.Migrated, Unchanged: r.Unchanged, Gone: r.Gone, Changed: r.Conflicts, Failed: r.Failed, Note: r.Note,
		}
		for _, g := range groups {
			if g.Resource == one.Name {
				one.Failures = append(one.Failures, v1alpha1.FailureGroup{
					Reason: string(g.Reason), Webhook: g.Webhook, Policy: g.Policy, Message: g.Message, Count: g.Count, Objects: g.Objects,
				})
			}
		}
		report.Complete = report.Complete && one.Complete
		report.Resources = append(report.Resources, one)
	}
	return report
}
