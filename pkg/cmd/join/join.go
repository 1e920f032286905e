// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package join is the command join.
package join

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/bundle"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/join"
)

// Flags are the command's flags.
type Flags struct {
	options.Shared
	Agent options.Agent

	Recipient string
	Name      string
}

// Joiner has the nodes' configuration sealed to a public key.
type Joiner interface {
	Join(ctx context.Context, publicKey []byte, label string) (bundle.Bundle, error)
}

// Options is what Run needs.
type Options struct {
	Joiner    Joiner
	PublicKey []byte
	Name      string
	Out       io.Writer
	Emit      event.Sink
}

// NewCommand makes the command.
func NewCommand(shared options.Shared) *cobra.Command {
	f := &Flags{Shared: shared}
	cmd := &cobra.Command{
		Use:   "join --recipient KEY",
		Short: "Hand the configuration to a node that is about to join",
		Long: templates.LongDesc(`
			Print the encryption configuration of the control-plane nodes as a sealed bundle, for a machine that no agent
			can be started on: one that is about to join as a control-plane node, or one whose kube-apiserver is down.

			A kube-apiserver that does not find its configuration does not start, so the file must be there before
			kubeadm join. On the new machine, as root, "encryption-agent recipient" prints a public key, and
			"encryption-agent install" installs the bundle that was made for it. Nobody else can open the bundle, and
			nobody on its way can change it, or the path that it is for.

			Before it begins, an agent looks at the file on every control-plane node, and every kube-apiserver proves that it
			has loaded it. All must be the same. With --name of a control-plane node that one is left out: it is the one
			that is mended. Nothing is changed in the cluster.

			The bundle is good for one day. Make a new one if the key was rotated meanwhile. It is all that is printed on
			stdout.

			Exit codes: 0 done, 1 error, 124 a kube-apiserver has not loaded its file in time, 130 interrupted.`),
		Example: templates.Examples(`
			# Prepare a new control-plane node: KEY is what "encryption-agent recipient" printed there
			kubectl encryption join --recipient @recipient.txt > bundle.txt

			# Mend the node n3, whose kube-apiserver does not start
			kubectl encryption join --name n3 --recipient @recipient.txt > bundle.txt`),
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
	f.Agent.AddFlags(cmd.Flags())
	cmd.Flags().StringVar(&f.Recipient, "recipient", "", "Public key that encryption-agent recipient has printed: the key, @FILE, or - for stdin")
	cmd.Flags().StringVar(&f.Name, "name", bundle.DefaultLabel, "What to call the bundle; the name of a control-plane node to mend that one")
	_ = cmd.RegisterFlagCompletionFunc("name", cobra.NoFileCompletions)
	return cmd
}

// Validate checks the flags by themselves.
func (f *Flags) Validate() error {
	if f.Recipient == "" {
		return hint.Errorf("on the new node, as root: encryption-agent recipient",
			"--recipient must be the public key of the node that the bundle is for")
	}
	if err := bundle.CheckLabel(f.Name); err != nil {
		return fmt.Errorf("--name: %w", err)
	}
	return f.Agent.Validate()
}

// ToOptions reads the recipient and makes clients and the consumer of events.
func (f *Flags) ToOptions() (*Options, func(), error) {
	publicKey, err := f.publicKey()
	if err != nil {
		return nil, nil, hint.New(fmt.Errorf("--recipient: %w", err), "print it once more, on the new node, as root: encryption-agent recipient")
	}
	cluster, err := f.Connect()
	if err != nil {
		return nil, nil, err
	}
	emit, closeSink := f.Sink("")
	run, err := join.New(cluster, f.Agent.Settings(emit))
	if err != nil {
		closeSink()
		return nil, nil, err
	}
	return &Options{Joiner: run, PublicKey: publicKey, Name: f.Name, Out: f.Out, Emit: emit}, closeSink, nil
}

// maxRecipient is far more than a recipient has in bytes.
const maxRecipient = 64 << 10

// publicKey reads the recipient from where the flag says.
func (f *Flags) publicKey() ([]byte, error) {
	text := f.Recipient
	from := io.Reader(nil)
	if file, isFile := strings.CutPrefix(text, "@"); isFile {
		opened, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = opened.Close() }()
		from = opened
	} else if text == "-" {
		from = f.In
	}
	if from != nil {
		data, err := io.ReadAll(io.LimitReader(from, maxRecipient))
		if err != nil {
			return nil, errors.New("it can't be read")
		}
		text = string(data)
	}
	return bundle.ParseRecipient(text)
}

// Run prints the bundle.
func (o *Options) Run(ctx context.Context) error {
	started := time.Now()
	b, err := o.Joiner.Join(ctx, o.PublicKey, o.Name)
	if err != nil {
		o.Emit(options.Failed(err))
		return err
	}
	text, err := b.Encode()
	if err != nil {
		return err
	}
	if _, err := o.Out.Write(text); err != nil {
		return fmt.Errorf("print bundle: %w", err)
	}
	o.Emit(event.Finished{
		Text: fmt.Sprintf("%s is sealed to the recipient %.19s…: until %s it can be installed there with encryption-agent install",
			b.Path, b.Recipient, b.Expires.Format("2006-01-02 15:04 MST")),
		Elapsed: time.Since(started),
	})
	return nil
}
