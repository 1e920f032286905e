// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command encryption-agent works on one control-plane node: it reads requests on its standard input and answers on
// its standard output, see package agentapi. It runs as root without any capability, in the image of the plugin's
// Jobs.
//
// Run by hand, with the words recipient and install, it prepares a machine that no Job can be started on, and with the
// word restore it mends one from its own history. With the word guard, in a static pod, it edits the manifest of the
// node's kube-apiserver and watches over it.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agent"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdwalk"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/version"
)

const name = "encryption-agent"

func main() {
	// As the first process of its container the agent gets no signal that it does not ask for.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := harden()
	if err == nil {
		err = run(ctx, os.Args[1:], os.Stdin, os.Stdout)
	}
	stop()
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled):
		os.Exit(128 + int(syscall.SIGTERM))
	default:
		_, _ = fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "recipient":
			return recipient(ctx, args[1:], out)
		case "install":
			return installBundle(ctx, args[1:], in, out)
		case "restore":
			return restore(ctx, args[1:], in, out)
		case agent.GuardCommand:
			return guard(ctx, args[1:], out)
		}
	}
	quiet()
	o := agent.Options{
		ConfigDir:  agentapi.ConfigDir,
		HistoryDir: agentapi.HistoryDir,

		ManifestDir:  agentapi.ManifestDir,
		ManifestName: project.APIServerManifest,

		Etcd: etcdwalk.Files{CA: agentapi.EtcdCA, Cert: agentapi.EtcdCert, Key: agentapi.EtcdKey},

		SnapDir: agentapi.SnapDir,
		WALDir:  agentapi.WALDir,

		Now:    time.Now,
		Random: rand.Reader,
	}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.StringVar(&o.Node, "node", "", "name of the node that the agent works on")
	flags.StringVar(&o.Run, "run", "", "identifier of the run that the agent belongs to")
	flags.StringVar(&o.ConfigName, "config", "", "name of the encryption configuration in "+agentapi.ConfigDir)
	flags.DurationVar(&o.Idle, "idle", 0, "how long to wait for a request before the agent ends, 0 for ever")
	showVersion := flags.Bool("version", false, "print the version and exit")
	flags.SetOutput(io.Discard) // an error is told by main
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(out)
		flags.PrintDefaults()
		return nil
	} else if err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *showVersion {
		_, err := fmt.Fprintln(out, version.Get().Version)
		return err
	}
	server, err := agent.New(o)
	if err != nil {
		return err
	}
	return server.Serve(ctx, in, out)
}
