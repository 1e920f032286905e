// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package options holds the flag groups that several commands share.
package options

import (
	"context"
	"errors"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/printer"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/term"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/version"
)

// Shared is what every command gets from the root.
type Shared struct {
	Config *genericclioptions.ConfigFlags
	genericiooptions.IOStreams
	// LookupEnv finds environment variables.
	LookupEnv func(string) (string, bool)
	// Stream is shared by all that sends events.
	Stream *Stream
}

// Agent are the flags of commands that run agents on nodes.
type Agent struct {
	Image           string
	JobTimeout      time.Duration
	ConvergeTimeout time.Duration
}

// AddFlags registers the flags.
func (a *Agent) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&a.Image, "agent-image", version.Get().AgentImage, "Image of the agent that runs on control-plane nodes, by digest")
	flags.DurationVar(&a.JobTimeout, "job-timeout", operation.DefaultJobTimeout, "How long an agent may take to start on its node")
	flags.DurationVar(&a.ConvergeTimeout, "converge-timeout", operation.DefaultConvergeTimeout,
		"How long kube-apiservers may take to load a changed file; they look once a minute")
}

// Validate checks the flags.
func (a *Agent) Validate() error {
	if a.JobTimeout <= 0 || a.ConvergeTimeout <= 0 {
		return errors.New("--job-timeout and --converge-timeout must be longer than nothing")
	}
	if a.Image == "" {
		return errors.New("--agent-image must name an image")
	}
	return nil
}

// Settings are those of an operation that runs the agents.
func (a *Agent) Settings(emit event.Sink) operation.Settings {
	return operation.Settings{Image: a.Image, JobTimeout: a.JobTimeout, ConvergeTimeout: a.ConvergeTimeout, By: Who(), Emit: emit}
}

// Migration are the flags of commands that migrate.
type Migration struct {
	Engine      string
	Concurrency int
	MaxRate     float64
	MaxFailures int64
}

// AddFlags registers the flags.
func (m *Migration) AddFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&m.Engine, "engine", string(migrator.Native),
		"What migrates. native: this program, many objects at a time and no more than the cluster takes well, naming every object that fails. "+
			"svm: the cluster's own StorageVersionMigration controller (Kubernetes 1.37 and later), one object at a time, ending at the first that fails")
	flags.IntVar(&m.Concurrency, "concurrency", 0, "Objects that are migrated at the same time; 0 follows the latency of the API server, up to 16")
	flags.Float64Var(&m.MaxRate, "max-rate", 0, "Objects per second at most; 0 is no limit")
	flags.Int64Var(&m.MaxFailures, "max-failures", migrator.DefaultMaxFailures,
		"End the migration as soon as this many objects of a resource have failed; 0 is no limit")
	_ = cmd.RegisterFlagCompletionFunc("engine", cobra.FixedCompletions(migrator.Engines(), cobra.ShellCompDirectiveNoFileComp))
}

// Settings are what the flags say.
func (m *Migration) Settings() migrator.Settings {
	return migrator.Settings{
		Engine: migrator.Engine(m.Engine), Concurrency: m.Concurrency, MaxRate: m.MaxRate, MaxFailures: m.MaxFailures,
	}
}

// Validate checks the flags.
func (m *Migration) Validate() error { return m.Settings().Validate() }

// Consent is how an operator agrees to a change.
type Consent struct {
	Yes bool
}

// AddFlags registers the flags.
func (c *Consent) AddFlags(flags *pflag.FlagSet) {
	flags.BoolVarP(&c.Yes, "yes", "y", false, "Do it without asking")
}

// ErrDeclined is returned when the operator says no.
var ErrDeclined = errors.New("not confirmed: nothing was changed")

// Get asks for consent, unless it was given by flag. Without a terminal there is nobody to ask, and that is an error.
func (c *Consent) Get(ctx context.Context, s Shared, question string) error {
	if c.Yes {
		return nil
	}
	if !term.IsTerminal(s.In) || !term.IsTerminal(s.ErrOut) {
		return &hint.Error{
			Err: errors.New("this needs your consent, and there is no terminal to ask on"), Safe: "nothing was changed",
			Hints: []string{"look at the plan with --dry-run, then give --yes"},
		}
	}
	yes, err := term.Confirm(ctx, s.In, s.ErrOut, question)
	if err != nil {
		return err
	}
	if !yes {
		return ErrDeclined
	}
	return nil
}

// Connect makes clients of kubectl's flags.
func (s Shared) Connect() (*kube.Cluster, error) { return kube.Connect(s.Config) }

// Cluster names the cluster for output.
func Cluster(c *kube.Cluster) v1alpha1.Cluster {
	return v1alpha1.Cluster{Context: c.Context, Server: c.Server, User: c.User}
}

// Sink makes the consumer of a long command's events: JSON lines with "json", else a live line or plain lines. The
// caller calls closeSink when the last event was sent.
func (s Shared) Sink(output string) (emit event.Sink, closeSink func()) {
	p := printer.New(printer.Choose(output, s.ErrOut, s.LookupEnv), s.IOStreams, printer.Options{
		Color: term.UseColor(term.ColorAuto, s.ErrOut, s.LookupEnv),
	})
	return s.aim(p.Sink), func() { _ = p.Close() } // output that nobody can read any more stops nothing
}

// Who names the person at the keyboard for records: user@host.
func Who() string {
	name, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + "@" + host
}
