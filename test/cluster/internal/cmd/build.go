// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package cmd

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/deps"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/image"
	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/kubernetes"
)

func newDeps() *cobra.Command {
	return &cobra.Command{
		Use:   "deps",
		Short: "Install what this Debian or Ubuntu machine lacks",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return deps.Install(cmd.Context(), cmd.ErrOrStderr())
		},
	}
}

func newBuild() *cobra.Command {
	var version string
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build Kubernetes, unless it is built already, and print the program's path",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			build, err := kubernetes.Get(cmd.Context(), version, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), build.Binary)
			return err
		},
	}
	addKubernetes(cmd, &version)
	return cmd
}

func addKubernetes(cmd *cobra.Command, version *string) {
	cmd.Flags().StringVar(version, "kubernetes", kubernetes.DefaultVersion, "Kubernetes version")
}

type imageOptions struct {
	binary, name, out, digestFile, user string
	entrypoint                          []string
}

func newImage() *cobra.Command {
	var options imageOptions
	cmd := &cobra.Command{
		Use:   "image --binary FILE --name REF --out FILE.tar",
		Short: "Pack a static program as a container image and print the image's digest",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			digest, err := options.run()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), digest)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.binary, "binary", "", "the program")
	flags.StringVar(&options.name, "name", "", "name of the image, with a tag")
	flags.StringVar(&options.out, "out", "", "file to write")
	flags.StringVar(&options.digestFile, "digest-file", "", "file to write the digest to")
	flags.StringVar(&options.user, "user", "", "user that a container runs as (default root)")
	flags.StringSliceVar(&options.entrypoint, "entrypoint", nil, "what a container runs (default the program)")
	for _, required := range []string{"binary", "name", "out"} {
		cobra.CheckErr(cmd.MarkFlagRequired(required))
	}
	return cmd
}

func (o imageOptions) run() (string, error) {
	program := filepath.Base(o.binary)
	if len(o.entrypoint) == 0 {
		o.entrypoint = []string{"/" + program}
	}
	img, err := image.New(image.Options{Binary: o.binary, Name: program, Entrypoint: o.entrypoint, User: o.user})
	if err != nil {
		return "", err
	}
	digest, err := image.Write(o.out, img, o.name)
	if err != nil || o.digestFile == "" {
		return digest, err
	}
	if err := os.WriteFile(o.digestFile, []byte(digest+"\n"), 0o644); err != nil {
		return "", fmt.Errorf("write digest: %w", err)
	}
	return digest, nil
}
