// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && faults

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// clockVariable is by how many seconds the clock of a plugin is wrong that wrongClock has built.
const clockVariable = "FAULTS_CLOCK"

// wrongClock rotates from a machine whose clock is wrong by an hour. A static program asks the kernel for the time without a library
// between, and the kernel has one wall clock for all; so the plugin is built with a package time that is wrong.
func wrongClock(t *testing.T, c trial) {
	wrong := *c.cluster
	wrong.env.plugin = buildWithWrongClock(t)

	c.row.Tried++
	t.Setenv(clockVariable, "3600")
	wrong.succeed(t, "rotate", "--yes")
	c.survived(t)

	// The certificates of this cluster are not an hour old, so that none is valid yet.
	c.row.Tried++
	t.Setenv(clockVariable, "-3600")
	wrong.refuse(t, []string{"not yet valid"}, "rotate", "--yes")
	c.survived(t)
}

func buildWithWrongClock(t *testing.T) string {
	t.Helper()
	goroot, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	require.NoError(t, err)
	source := filepath.Join(strings.TrimSpace(string(goroot)), "src", "time", "time.go")
	text, err := os.ReadFile(source)
	require.NoError(t, err)
	const begins = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	require.Equal(t, 1, strings.Count(string(text), begins), "%s asks for the time where it did", source)
	patched := strings.Replace(string(text), begins, begins+"\tsec += wrongBy\n", 1) + `
var wrongBy = func() int64 {
	text, _ := syscall.Getenv("` + clockVariable + `")
	by, _ := atoi(text)
	return int64(by)
}()
`
	patched = strings.Replace(patched, "import (\n", "import (\n\t\"syscall\"\n", 1)
	folder := t.TempDir()
	file, overlay, plugin := filepath.Join(folder, "time.go"), filepath.Join(folder, "overlay.json"), filepath.Join(folder, "plugin")
	require.NoError(t, os.WriteFile(file, []byte(patched), 0o600))
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{source: file}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(overlay, replace, 0o600))
	agent, err := os.ReadFile(filepath.Join("..", "..", "_output", "encryption-agent.digest"))
	require.NoError(t, err)
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "-o", plugin,
		"-ldflags", "-X github.com/kubectl-encryption/kubectl-encryption/pkg/version.agentDigest="+strings.TrimSpace(string(agent)),
		"./cmd/kubectl-encryption")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.FileExists(t, plugin)
	return plugin
}
