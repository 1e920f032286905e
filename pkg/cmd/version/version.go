// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package version is the command version.
package version

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/term"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/version"
)

// serverTimeout is how long a server may take to answer: the version of the program is told without one.
const serverTimeout = 5 * time.Second

// NewCommand makes the command.
func NewCommand(shared options.Shared) *cobra.Command {
	format := genericclioptions.NewPrintFlags("")
	var clientOnly bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of the program, its agent and the server",
		Long: templates.LongDesc(`
			Print the version of the program, the image of the agent that belongs to it, and the version of the server
			if it can be reached.`),
		Example: templates.Examples(`
			# The program alone, without asking a server
			kubectl encryption version --client

			# For a program
			kubectl encryption version -o json`),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			info := collect()
			if !clientOnly {
				info.ServerVersion = serverVersion(cmd.Context(), shared)
			}
			if *format.OutputFormat == "" {
				return text(info, shared.Out)
			}
			p, err := format.ToPrinter()
			if err != nil {
				return err
			}
			return p.PrintObj(info, shared.Out)
		},
	}
	format.AddFlags(cmd)
	cmd.Flags().BoolVar(&clientOnly, "client", false, "Ask no server")
	return cmd
}

func collect() *v1alpha1.VersionInfo {
	build := version.Get()
	return &v1alpha1.VersionInfo{
		TypeMeta: v1alpha1.New("VersionInfo"), Version: build.Version, Commit: build.Commit,
		GoVersion: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, AgentImage: build.AgentImage,
	}
}

// serverVersion is empty if the server can't be asked.
func serverVersion(ctx context.Context, shared options.Shared) string {
	cluster, err := shared.Connect()
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	answer := make(chan string, 1)
	go func() {
		v, err := cluster.Discovery.ServerVersion()
		if err != nil {
			answer <- ""
			return
		}
		answer <- v.GitVersion
	}()
	select {
	case v := <-answer:
		return v
	case <-ctx.Done():
		return ""
	}
}

func text(v *v1alpha1.VersionInfo, out io.Writer) error {
	server := v.ServerVersion
	if server == "" {
		server = "<not reached>"
	}
	_, err := fmt.Fprintf(out, "Client Version: %s\nAgent Image: %s\nGo Version: %s\nPlatform: %s\nServer Version: %s\n",
		v.Version, v.AgentImage, v.GoVersion, v.Platform, term.Escape(server))
	return err
}
