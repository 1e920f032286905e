// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The environment of the tests: INTEGRATION_DIR is the control plane's folder, INTEGRATION_KEEP keeps it running,
// INTEGRATION_CLUSTER, INTEGRATION_PLUGIN and INTEGRATION_AGENT are the programs of the test cluster, of the plugin and of
// the agent where they are not those that make builds.
const (
	dirVariable     = "INTEGRATION_DIR"
	keepVariable    = "INTEGRATION_KEEP"
	programVariable = "INTEGRATION_CLUSTER"
	pluginVariable  = "INTEGRATION_PLUGIN"
	agentVariable   = "INTEGRATION_AGENT"
)

// root is the folder of the repository, as seen from this package's.
const root = "../.."

// bare is the control plane of all tests.
var bare *controlPlane

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	dir := folder()
	if os.Getenv(keepVariable) == "" {
		defer func() {
			if err := harness(context.WithoutCancel(ctx), "bare", "down", "--dir", dir); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}()
	}
	var err error
	if bare, err = start(ctx, dir, "--apiservers", "3", "--audit"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// folder is where the control plane lives; a relative one is the repository's, not this package's.
func folder() string {
	dir := os.Getenv(dirVariable)
	if dir == "" {
		dir = filepath.Join("_output", "integration")
	}
	if filepath.IsAbs(dir) {
		return dir
	}
	return filepath.Join(root, dir)
}

// start brings a control plane up and connects to it.
func start(ctx context.Context, dir string, flags ...string) (*controlPlane, error) {
	flags = append([]string{"bare", "up", "--dir", dir, "--encryption", "aesgcm", "--reload-poll", "1s"}, flags...)
	if err := harness(ctx, flags...); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(dir, "bare.json"))
	if err != nil {
		return nil, fmt.Errorf("read the control plane's state: %w", err)
	}
	cp := &controlPlane{dir: dir}
	if err := json.Unmarshal(data, cp); err != nil {
		return nil, fmt.Errorf("read the control plane's state: %w", err)
	}
	if err := cp.connect(); err != nil {
		return nil, err
	}
	return cp, cp.admitUsers(ctx)
}

// harness runs the test cluster's program, which is built where it is missing.
func harness(ctx context.Context, args ...string) error {
	program := os.Getenv(programVariable)
	if program == "" {
		program = filepath.Join(root, "_output", "bin", "cluster")
	}
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	if _, err := os.Stat(program); err != nil {
		build := exec.CommandContext(ctx, "go", "build", "-o", program, ".")
		build.Dir = filepath.Join(root, "test", "cluster")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build the test cluster: %w\n%s", err, out)
		}
	}
	if out, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("cluster %v: %w\n%s", args, err, out)
	}
	return nil
}
