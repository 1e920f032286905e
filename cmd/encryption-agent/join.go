// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agent"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/bundle"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

func thisMachine() agent.Machine {
	return agent.Machine{Root: "/", User: os.Geteuid(), Now: time.Now}
}

// recipient prints the public key that a bundle for this machine is sealed to.
func recipient(_ context.Context, args []string, out io.Writer) error {
	flags := newFlags("recipient")
	renew := flags.Bool("new", false, "make another key, even if there is one; bundles for the former can't be opened then")
	if helped, err := parse(flags, args, out); helped || err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	key, err := thisMachine().Recipient(*renew)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, key)
	return err
}

// installBundle puts the configuration of a bundle in its place.
func installBundle(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	m := thisMachine()
	flags := newFlags("install [FILE]")
	flags.Func("folder", "a further folder, outside /etc/kubernetes, that the configuration may be put into", func(dir string) error {
		if !strings.HasPrefix(dir, "/") {
			return errors.New("it must be an absolute path")
		}
		m.Folders = append(m.Folders, dir)
		return nil
	})
	if helped, err := parse(flags, args, out); helped || err != nil {
		return err
	}
	if flags.NArg() > 1 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(1))
	}
	text, err := readBundle(ctx, flags.Arg(0), in)
	if err != nil {
		return err
	}
	result, err := m.Install(text)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, report(result))
	return err
}

func newFlags(usage string) *flag.FlagSet {
	flags := flag.NewFlagSet(name+" "+usage, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // an error is told by main
	return flags
}

// parse reads the flags. helped is true if nothing but help was asked for.
func parse(flags *flag.FlagSet, args []string, out io.Writer) (helped bool, err error) {
	err = flags.Parse(args)
	if !errors.Is(err, flag.ErrHelp) {
		return false, err
	}
	fmt.Fprintf(out, "Usage: %s\n", flags.Name())
	flags.SetOutput(out)
	flags.PrintDefaults()
	return true, nil
}

// readBundle reads a file, or the standard input if none is named, up to the size that a bundle can have. Waiting for
// input can be given up.
func readBundle(ctx context.Context, file string, in io.Reader) ([]byte, error) {
	if file != "" && file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read bundle: %w", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	type read struct {
		text []byte
		err  error
	}
	done := make(chan read, 1)
	go func() {
		text, err := io.ReadAll(io.LimitReader(in, bundle.MaxSize+1))
		done <- read{text, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		if r.err != nil {
			return nil, fmt.Errorf("read bundle: %w", r.err)
		}
		return r.text, nil
	}
}

// report says what was done and what comes next.
func report(i agent.Installed) string {
	var b strings.Builder
	switch {
	case i.Already:
		fmt.Fprintf(&b, "already installed: %s is %s\n", i.Path, i.Digest)
	case i.Replaced != "":
		fmt.Fprintf(&b, "installed %s, %s, in place of %s, which is kept in %s\n", i.Path, i.Digest, i.Replaced, project.NodeHistoryDir)
	default:
		fmt.Fprintf(&b, "installed %s, %s\n", i.Path, i.Digest)
	}
	if len(i.Lacking) > 0 {
		fmt.Fprintf(&b, "warning: what was replaced had keys that are gone now: %s\n", keyNames(i.Lacking))
	}
	if i.Runs {
		fmt.Fprintf(&b, "next: the kube-apiserver of this machine reads it when it starts, which the kubelet tries every few minutes; look with: %s status\n", project.Command)
	} else {
		fmt.Fprintf(&b, "next: kubeadm join --control-plane, and then look with: %s status\n", project.Command)
	}
	return b.String()
}
