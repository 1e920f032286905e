// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package completion is the command completion, and what kubectl calls to complete the plugin's words.
//
// kubectl runs an executable kubectl_complete-PLUGIN with the words typed so far
// (k8s.io/kubectl@v0.37.2 pkg/cmd/plugin/plugin_completion.go). This program answers to that name, so a link to it
// is all that completion needs.
package completion

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// Executable is the name that kubectl looks for.
const Executable = "kubectl_complete-" + project.Plugin

// NewCommand makes the command with its two sub-commands.
func NewCommand(shared options.Shared) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "completion",
		Short: "Set up completion of the plugin's words in the shell",
		Long: templates.LongDesc(`
			Set up completion. kubectl completes a plugin's words by running ` + Executable + ` from the PATH. The
			program answers to that name itself: install puts a link beside it, print shows a script for those who
			would rather write one.

			kubectl's own completion must be set up, see kubectl completion --help.`),
		Example: templates.Examples(`
			# Put a link beside the program
			kubectl encryption completion install

			# Put it into another folder of the PATH
			kubectl encryption completion install --dir ~/.local/bin

			# Show a script that does the same
			kubectl encryption completion print > ~/.local/bin/` + Executable),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newInstall(shared), newPrint(shared))
	return cmd
}

func newInstall(shared options.Shared) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Put a link to the program where kubectl finds it",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			program, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find the program: %w", err)
			}
			if dir == "" {
				dir = filepath.Dir(program)
			}
			return install(program, filepath.Join(dir, Executable), shared.Out)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "Folder of the PATH for the link (default that of the program)")
	return cmd
}

// install makes the link; one that is there already and right is left alone, anything else is not overwritten.
func install(program, link string, out io.Writer) error {
	err := os.Symlink(program, link)
	if errors.Is(err, fs.ErrExist) {
		if target, err := os.Readlink(link); err == nil && target == program {
			_, err := fmt.Fprintf(out, "%s is there already\n", link)
			return err
		}
		return hint.Errorf("remove it, or choose another folder with --dir", "%s exists and is something else", link)
	}
	if err != nil {
		return hint.Errorf("choose a folder of the PATH that you may write to with --dir", "make link: %v", err)
	}
	_, err = fmt.Fprintf(out, "%s linked to %s\n", link, program)
	return err
}

func newPrint(shared options.Shared) *cobra.Command {
	return &cobra.Command{
		Use:   "print",
		Short: "Print a script named " + Executable,
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(shared.Out, "#!/usr/bin/env sh\nexec %s __complete \"$@\"\n", project.Command)
			return err
		},
	}
}
