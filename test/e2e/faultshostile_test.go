// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && faults

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostile runs images in the agent's place that say what no agent says. The plugin has to end, to name the node, to change
// nothing, and to hand nothing to the terminal that takes it over.
func hostile(t *testing.T, c trial) {
	for mode, says := range map[string]string{
		"garbage": "the agent's answer is not understood", "flood": "the connection to the agent was lost", "error": "yyy",
		// It had ended before it was looked at, or before it was talked to, or does so while it is.
		"ends": "its pod ended: .*exit code 1|talk to the agent on node|the connection to the agent was lost",
	} {
		t.Run(mode, func(t *testing.T) {
			c.row.Tried++
			image := c.hostileImage(t, mode)
			before := c.digests(t)
			r := c.plugin(t, "rotate", "--yes", "--agent-image", image, "--job-timeout", "20s")
			const most = 4 << 10
			t.Logf("%.2000q", r.failure())
			assert.Equal(t, 1, r.code)
			assert.Contains(t, r.stderr, "node "+c.nodes[0].name)
			assert.Regexp(t, says, r.stderr)
			told(t, r.code, r.stderr)
			assert.Less(t, len(r.stderr), most, "what is said is for people")
			for _, stream := range []string{r.stdout, r.stderr} {
				assert.Equal(t, -1, strings.IndexFunc(stream, func(r rune) bool {
					return r != '\n' && !unicode.IsPrint(r)
				}), "what a terminal does not print: %.200q", stream)
			}
			assert.Equal(t, before, c.digests(t), "no file is changed")
			c.checkNothingLeft(t)
		})
	}
	c.succeed(t, "rotate", "--yes")
	c.survived(t)
	t.Run("lies", c.lied)
}

// lied has the agents claim an installation that they have not done. It is the kube-apiservers that are believed: the key is never
// taken for one that they can read.
func (c trial) lied(t *testing.T) {
	c.row.Tried++
	ended, before := c.toAnotherKey(t), c.digests(t)
	r := c.plugin(t, "rotate", "--yes", "--agent-image", c.hostileImage(t, "lies"), "--converge-timeout", "15s")
	t.Log(r.failure())
	assert.Equal(t, 124, r.code, "what is claimed is not proven")
	told(t, r.code, r.stderr)
	assert.Contains(t, r.stderr, "not every kube-apiserver has loaded its file within 15s: "+c.nodes[0].name)
	assert.Equal(t, before, c.digests(t), "no file is changed")
	c.checkNothingLeft(t)
	c.succeed(t, again("rotate")...)
	ended(t)
}

// hostileImage builds an image, puts it on the nodes and gives its name.
func (c trial) hostileImage(t *testing.T, mode string) string {
	t.Helper()
	folder := t.TempDir()
	binary, archive, digest := filepath.Join(folder, "hostile"), filepath.Join(folder, "hostile.tar"), filepath.Join(folder, "digest")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-X main.mode="+mode, "-o", binary, "./test/faults/hostile")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	name := "images.invalid/hostile-" + mode
	_, err = c.env.cluster(t.Context(), time.Minute, "image", "--binary", binary, "--name", name, "--out", archive, "--digest-file", digest)
	require.NoError(t, err)
	_, err = c.env.cluster(t.Context(), time.Minute, "load", "--dir", c.dir, archive)
	require.NoError(t, err)
	data, err := os.ReadFile(digest)
	require.NoError(t, err)
	return name + "@" + strings.TrimSpace(string(data))
}
