// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agent"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/readyz"
)

// bootFile identifies the boot of the machine, in a container too.
const bootFile = "/proc/sys/kernel/random/boot_id"

// guard edits the manifest of the kube-apiserver on this node and watches over it.
func guard(ctx context.Context, args []string, out io.Writer) error {
	o := agent.GuardOptions{
		ManifestDir:  agentapi.ManifestDir,
		ManifestName: project.APIServerManifest,
		HistoryDir:   agentapi.HistoryDir,
		LogDir:       agentapi.LogDir,
		Now:          time.Now,
		Ask:          readyz.Ask,
		Out:          out,
	}
	flags := newFlags(agent.GuardCommand)
	flags.StringVar(&o.Run, "run", "", "identifier of the run that called the guard")
	if helped, err := parse(flags, args, out); helped || err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if boot, err := os.ReadFile(bootFile); err == nil {
		o.Boot = strings.TrimSpace(string(boot))
	}
	g, err := agent.NewGuard(o)
	if err != nil {
		return err
	}
	return g.Work(ctx)
}
