// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubernetes builds the programs of a control-plane node from their
// Go modules, packs them as images, and keeps both: they take a quarter of an
// hour to build and change only with what they are built from.
package kubernetes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// DefaultVersion is the Kubernetes version of a cluster that names none.
const DefaultVersion = "v1.37.1"

// sourceFolder is where the module lies in this repository.
const sourceFolder = "test/cluster/kubernetes"

// Source is the Go module of the programs, at one Kubernetes version.
type Source struct {
	Dir     string
	Version string
	// ModFile is the version's go.mod.
	ModFile string
}

var requirement = regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes\s+(v\S+)`)

// FindSource returns the module for a Kubernetes version. The module is looked
// for above the folder that the harness runs in and above its own program.
func FindSource(version string) (Source, error) {
	dir, err := findFolder()
	if err != nil {
		return Source{}, err
	}
	versions, err := modFiles(dir)
	if err != nil {
		return Source{}, err
	}
	if file, ok := versions[version]; ok {
		return Source{Dir: dir, Version: version, ModFile: file}, nil
	}
	var known []string
	for v := range versions {
		known = append(known, v)
	}
	slices.Sort(known)
	return Source{}, fmt.Errorf("unknown Kubernetes version %q: there is %s", version, strings.Join(known, ", "))
}

func findFolder() (string, error) {
	var starts []string
	if working, err := os.Getwd(); err == nil {
		starts = append(starts, working)
	}
	if program, err := os.Executable(); err == nil {
		starts = append(starts, filepath.Dir(program))
	}
	for _, start := range starts {
		for dir := start; ; dir = filepath.Dir(dir) {
			candidate := filepath.Join(dir, sourceFolder)
			if _, err := os.Stat(filepath.Join(candidate, "go.mod")); err == nil {
				return candidate, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", errors.New("find " + sourceFolder + ": run from within a checkout of this repository")
}

// modFiles maps Kubernetes versions to the go.mod files that require them:
// go.mod itself and the VERSION.mod beside it.
func modFiles(dir string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.mod"))
	if err != nil {
		return nil, fmt.Errorf("list versions: %w", err)
	}
	versions := map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read version: %w", err)
		}
		if match := requirement.FindSubmatch(content); match != nil {
			versions[string(match[1])] = file
		}
	}
	return versions, nil
}

// flags are what the build depends on beside the source.
func (s Source) flags() []string {
	major, minor, _ := strings.Cut(strings.TrimPrefix(s.Version, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	variables := []string{"gitVersion=" + s.Version, "gitMajor=" + major, "gitMinor=" + minor, "gitTreeState=clean"}
	linker := []string{"-s", "-w"}
	for _, variable := range variables {
		linker = append(linker, "-X", "k8s.io/component-base/version."+variable)
	}
	return []string{"-trimpath", "-buildvcs=false", "-modfile=" + s.ModFile, "-ldflags=" + strings.Join(linker, " ")}
}

// hash stands for everything that the outcome of a build depends on.
func (s Source) hash(ctx context.Context) (string, error) {
	toolchain, err := s.command(ctx, "env", "GOVERSION", "GOOS", "GOARCH", "GOAMD64", "GOARM64").Output()
	if err != nil {
		return "", fmt.Errorf("ask for the Go version: %w", err)
	}
	sources, err := filepath.Glob(filepath.Join(s.Dir, "*.go"))
	if err != nil {
		return "", fmt.Errorf("list sources: %w", err)
	}
	more, err := filepath.Glob(filepath.Join(s.Dir, "*", "*.go"))
	if err != nil {
		return "", fmt.Errorf("list sources: %w", err)
	}
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "%s\n%q\n%d\n", toolchain, s.relativeFlags(), imageFormat)
	for _, file := range slices.Concat([]string{s.ModFile, s.sumFile()}, sources, more) {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read source: %w", err)
		}
		_, _ = fmt.Fprintf(sum, "%s %x\n", filepath.Base(file), sha256.Sum256(content))
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// relativeFlags are the flags without the place of this checkout.
func (s Source) relativeFlags() []string {
	flags := s.flags()
	for i, flag := range flags {
		flags[i] = strings.ReplaceAll(flag, s.Dir, "")
	}
	return flags
}

func (s Source) sumFile() string {
	return strings.TrimSuffix(s.ModFile, ".mod") + ".sum"
}

func (s Source) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOOS=linux", "GOFLAGS=")
	return cmd
}
