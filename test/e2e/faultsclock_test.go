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

const (
	// clockVariable is by how many seconds the clock of a plugin is wrong that buildWithWrongClock has built.
	clockVariable = "FAULTS_CLOCK"
	// oldVariable has it judge certificates by the right time. Those of a cluster in use were made long ago; those of a test
	// cluster were not, and none is valid yet by a clock that is an hour behind.
	oldVariable = "FAULTS_OLD_CERTIFICATES"
)

// wrongClock rotates from a machine whose clock is wrong by an hour. A static program asks the kernel for the time without a library
// between, and the kernel has one wall clock for all; so the plugin is built with a package time that is wrong.
func wrongClock(t *testing.T, c trial) {
	wrong := *c.cluster
	wrong.env.plugin = buildWithWrongClock(t)
	for _, seconds := range []string{"3600", "-3600"} {
		c.row.Tried++
		wrong.env.variables = []string{oldVariable + "=yes", clockVariable + "=" + seconds}
		before := c.writeKey(t)
		wrong.succeed(t, "rotate", "--yes")
		assert.NotEqual(t, before, c.writeKey(t))
		c.survived(t)
	}
	c.row.Tried++
	wrong.env.variables = []string{clockVariable + "=-360000000"} // eleven years, however long the cluster was kept
	wrong.refuse(t, []string{"not yet valid"}, "rotate", "--yes")
	c.survived(t)
}

// patch is a change of a file of Go's own library.
type patch struct {
	file string
	// replace are texts that are there once, and what takes their place.
	replace map[string]string
	add     string
}

func clockPatches() []patch {
	return []patch{
		{"time/time.go", map[string]string{
			"import (\n": "import (\n\t\"syscall\"\n",
			"func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n": "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n\tsec += wrongBy\n",
		}, `
var wrongBy = func() int64 {
	text, _ := syscall.Getenv("` + clockVariable + `")
	by, _ := atoi(text)
	return int64(by)
}()

// WrongBy is how wrong Now is.
func WrongBy() Duration { return Duration(wrongBy) * Second }
`},
		{"crypto/x509/verify.go", map[string]string{
			"import (\n": "import (\n\t\"os\"\n",
			"\tif now.Before(c.NotBefore) {\n": "\tif os.Getenv(\"" + oldVariable + "\") != \"\" {\n\t\tnow = now.Add(-time.WrongBy())\n\t}\n" +
				"\tif now.Before(c.NotBefore) {\n",
		}, ""},
	}
}

func buildWithWrongClock(t *testing.T) string {
	t.Helper()
	goroot, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	require.NoError(t, err)
	folder, replace := t.TempDir(), map[string]string{}
	for _, p := range clockPatches() {
		source := filepath.Join(strings.TrimSpace(string(goroot)), "src", p.file)
		data, err := os.ReadFile(source)
		require.NoError(t, err)
		text := string(data) + p.add
		for was, is := range p.replace {
			require.Equal(t, 1, strings.Count(text, was), "%s has %q once", source, was)
			text = strings.Replace(text, was, is, 1)
		}
		replace[source] = filepath.Join(folder, filepath.Base(p.file))
		require.NoError(t, os.WriteFile(replace[source], []byte(text), 0o600))
	}
	overlay, plugin := filepath.Join(folder, "overlay.json"), filepath.Join(folder, "plugin")
	data, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(overlay, data, 0o600))
	agent, err := os.ReadFile(filepath.Join("..", "..", "_output", "encryption-agent.digest"))
	require.NoError(t, err)
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "-o", plugin,
		"-ldflags", "-X github.com/kubectl-encryption/kubectl-encryption/pkg/version.agentDigest="+strings.TrimSpace(string(agent)),
		"./cmd/kubectl-encryption")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return plugin
}
