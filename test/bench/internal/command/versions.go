// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"
	"os/exec"
	"runtime/debug"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/rig"
)

// versions of what is compared: of libraries those that are linked, of the plugin its commit.
func versions(ctx context.Context, programs rig.Programs) (result.Versions, error) {
	cmd := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty")
	cmd.Dir = programs.Root
	plugin, err := cmd.Output()
	if err != nil {
		return result.Versions{}, fmt.Errorf("ask for the plugin's version: %w", err)
	}
	return result.Versions{
		Plugin:  strings.TrimSpace(string(plugin)),
		Kubectl: linked("k8s.io/client-go"),
		KSVM:    linked("sigs.k8s.io/kube-storage-version-migrator"),
	}, nil
}

// linked is the version of a module in this program; k8s.io/kubectl has that of k8s.io/client-go.
func linked(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			return dep.Version
		}
	}
	return ""
}
