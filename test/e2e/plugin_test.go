// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pluginLimit ends a plugin that hangs.
const pluginLimit = 10 * time.Minute

// result is what a run of the plugin has left.
type result struct {
	stdout, stderr string
	code           int
}

// plugin runs the plugin to its end. It has no terminal.
func (c *cluster) plugin(t *testing.T, args ...string) result {
	t.Helper()
	r, err := c.run(t.Context(), args...)
	require.NoError(t, err)
	t.Logf("kubectl encryption %s: exit code %d", strings.Join(args, " "), r.code)
	return r
}

// run is plugin for goroutines: it fails no test.
func (c *cluster) run(ctx context.Context, args ...string) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, pluginLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.env.plugin, args...)
	cmd.Env = c.environ()
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		err = nil
	}
	return result{stdout: out.String(), stderr: errOut.String(), code: cmd.ProcessState.ExitCode()}, err
}

// environ is the environment of the plugin. The kubeconfig is in it, so that commands that are printed need no flag for it.
func (c *cluster) environ() []string {
	dir := c.operatorDir()
	return slices.Concat(os.Environ(), c.env.variables, []string{"KUBECONFIG=" + c.user, "HOME=" + dir, "TMPDIR=" + dir})
}

// operatorDir is where the plugin may leave files on the operator's machine.
func (c *cluster) operatorDir() string { return filepath.Join(c.dir, "operator") }

// succeed runs the plugin and requires success.
func (c *cluster) succeed(t *testing.T, args ...string) result {
	t.Helper()
	r := c.plugin(t, args...)
	require.Zero(t, r.code, "kubectl encryption %s\n%s%s", strings.Join(args, " "), r.stdout, r.stderr)
	return r
}

// failure is what standard error says from the error on.
func (r result) failure() string {
	_, failure, _ := strings.Cut(r.stderr, "error: ")
	return failure
}
