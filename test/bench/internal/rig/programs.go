// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Programs are the paths of what the benchmark starts.
type Programs struct {
	// Root is the folder of the repository.
	Root string
	// Bench is this program, which is each peer as well.
	Bench string
	// Cluster is the test cluster's program.
	Cluster string
	// Kubectl is the stock one, of the version of go.mod.
	Kubectl string
}

// module is the first line of the plugin's go.mod, by which the repository's folder is recognised.
const module = "module github.com/kubectl-encryption/kubectl-encryption\n"

// Find builds into a folder what it is not given, with the go command.
func Find(ctx context.Context, folder, cluster, kubectl string) (Programs, error) {
	p, err := FindCluster(ctx, folder, cluster)
	if err != nil {
		return Programs{}, err
	}
	if p.Kubectl = kubectl; p.Kubectl == "" {
		p.Kubectl = filepath.Join(folder, "kubectl")
		if err := build(ctx, filepath.Join(p.Root, "test", "bench"), "./kubectl", p.Kubectl); err != nil {
			return Programs{}, err
		}
	}
	return p, nil
}

// FindCluster is Find without a kubectl.
func FindCluster(ctx context.Context, folder, cluster string) (Programs, error) {
	root, err := findRoot()
	if err != nil {
		return Programs{}, err
	}
	p := Programs{Root: root, Cluster: cluster}
	if p.Bench, err = os.Executable(); err != nil {
		return Programs{}, fmt.Errorf("find this program: %w", err)
	}
	if p.Cluster == "" {
		p.Cluster = filepath.Join(folder, "cluster")
		if err := build(ctx, filepath.Join(root, "test", "cluster"), ".", p.Cluster); err != nil {
			return Programs{}, err
		}
	}
	return p, nil
}

func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find repository: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(data), module) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find repository: run from within a checkout of it")
		}
	}
}

func build(ctx context.Context, dir, pkg, out string) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return fmt.Errorf("build %s: %w", pkg, err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, pkg)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s in %s: %w\n%s", pkg, dir, err, output)
	}
	return nil
}
