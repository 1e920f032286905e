// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && faults

package e2e

import (
	"bytes"
	"context"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const underWay = "another change is under way"

// fourOperators rotate at the same time. One at least gets through, and who does not is told why, and has changed nothing:
// the number of keys says how many did.
func fourOperators(t *testing.T, c trial) {
	const operators = 4
	before := len(c.nodes[0].keys(t))
	results := make([]result, operators)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() { results[i], _ = c.run(t.Context(), "rotate", "--yes", "--keep=99") })
	}
	wg.Wait()
	c.row.Tried += len(results)
	through := gotThrough(t, results)
	assert.Len(t, c.nodes[0].keys(t), before+through, "each rotation that got through has made one key")
	c.survived(t)
}

// gotThrough is how many of several at once did, one at least. Who did not is told why.
func gotThrough(t *testing.T, results []result) (through int) {
	t.Helper()
	for _, r := range results {
		if r.code == 0 {
			through++
			continue
		}
		t.Log(r.failure())
		assert.Equal(t, 1, r.code)
		assert.Contains(t, r.stderr, underWay)
		told(t, r.code, r.stderr)
	}
	assert.Positive(t, through)
	return through
}

// repairMeanwhile has somebody repair while somebody else rotates, the other way round, and two repair at once.
func repairMeanwhile(t *testing.T, c trial) {
	c.row.Tried++
	first := c.begin(t, "rotate", "--yes", "--max-rate", "10")
	_, ok := first.until(func(e event) bool { return e.starts("migrate") })
	require.True(t, ok, "%s", &first.stderr)
	repaired := c.lose(t)
	second := c.plugin(t, "repair", "--yes")
	t.Log(second.failure())
	assert.Equal(t, 1, second.code)
	assert.Contains(t, second.stderr, underWay)
	assert.NoFileExists(t, c.nodes[0].configFile(), "who does not hold the lock writes nothing")
	t.Logf("the rotation ends with exit code %d: %s", first.wait(t), &first.stderr)
	c.succeed(t, "repair", "--yes")
	c.succeed(t, again("rotate")...)
	repaired(t)

	c.row.Tried++
	repaired = c.lose(t)
	first = c.begin(t, "repair", "--yes")
	_, ok = first.until(func(e event) bool { return e.Event == "step-started" })
	require.True(t, ok, "%s", &first.stderr)
	second = c.plugin(t, "rotate", "--yes") // it waits for nobody, or comes when the other one has ended
	t.Logf("exit code %d: %s", second.code, second.failure())
	if code := first.wait(t); code != 0 {
		t.Logf("exit code %d: %s", code, &first.stderr)
		c.succeed(t, "repair", "--yes")
	}
	repaired(t)

	c.row.Tried++
	repaired = c.lose(t)
	const operators = 2
	results := make([]result, operators)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() { results[i], _ = c.run(t.Context(), "repair", "--yes") })
	}
	wg.Wait()
	gotThrough(t, results)
	repaired(t)
}

// lose takes the first node its file. The function that it returns is for when that was repaired. A kube-apiserver that has met with a
// file that is not there tells so until it loads another one, which it does not where the very file is back; hence the rotation.
func (c trial) lose(t *testing.T) (repaired func(t *testing.T)) {
	t.Helper()
	before := c.keysEverywhere(t)
	require.NoError(t, os.Remove(c.nodes[0].configFile()))
	return func(t *testing.T) {
		t.Helper()
		kept := c.keysEverywhere(t)
		for secret := range before {
			assert.True(t, kept[secret], "a key is lost")
		}
		c.checkLoaded(t)
		c.checkNothingLeft(t)
		c.succeed(t, "rotate", "--yes")
		c.survived(t)
	}
}

// sleeper has an operator's machine sleep in the middle of a migration. Another operator takes over, and the first one, when it
// wakes, gives up.
func sleeper(t *testing.T, c trial) {
	c.row.Tried++
	first := c.begin(t, "rotate", "--yes", "--max-rate", "5")
	_, ok := first.until(func(e event) bool { return e.Event == "migration-progress" && e.Done > 1 })
	require.True(t, ok, "%s", &first.stderr)
	require.NoError(t, first.cmd.Process.Signal(syscall.SIGSTOP))
	c.succeed(t, again("rotate")...)
	c.succeed(t, "rotate", "--yes")
	files := c.digests(t)
	require.NoError(t, first.cmd.Process.Signal(syscall.SIGCONT))
	assert.Equal(t, 1, first.wait(t), "%s", &first.stderr)
	t.Logf("%s", &first.stderr)
	assert.Contains(t, first.stderr.String(), "lock")
	told(t, 1, first.stderr.String())
	assert.Equal(t, files, c.digests(t), "who wakes changes no file")
	c.survived(t)
}

// editor has somebody add a line to the file of one node again and again while it is rotated. Not one of these lines may be lost to a
// file of ours: what is replaced is what was looked at.
func editor(t *testing.T, c trial) {
	c.row.Tried++
	n := c.nodes[len(c.nodes)-1]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	run := c.begin(t, "rotate", "--yes")
	_, ok := run.until(func(e event) bool { return e.Event == "step-started" })
	require.True(t, ok, "%s", &run.stderr)
	var last []byte
	var wg sync.WaitGroup
	wg.Go(func() { last = n.edit(ctx, t) })
	code := run.wait(t)
	cancel()
	wg.Wait()
	t.Logf("exit code %d: %s", code, &run.stderr)
	assert.NotZero(t, code, "nobody can rotate like that")
	told(t, code, run.stderr.String())
	require.True(t, bytes.Contains(n.read(t), last), "what was edited last is there")
	c.awaitLoaded(t)
	if len(c.nodes) > 1 {
		c.succeed(t, "repair", "--yes")
	}
	c.succeed(t, again("rotate")...)
	c.succeed(t, "rotate", "--yes")
	c.survived(t)
}

// edit adds a line to the node's file until the context ends, and gives the last one.
func (n *node) edit(ctx context.Context, t *testing.T) []byte {
	const often = 100 * time.Millisecond
	ticker := time.NewTicker(often)
	defer ticker.Stop()
	var line []byte
	for {
		data, err := os.ReadFile(n.configFile())
		if !assert.NoError(t, err) {
			return line
		}
		line = []byte(edited + time.Now().Format(time.RFC3339Nano) + "\n")
		data = append(stripped(data), line...)
		temp := n.configFolder() + "/edited"
		if !assert.NoError(t, os.WriteFile(temp, data, 0o600)) || !assert.NoError(t, os.Rename(temp, n.configFile())) {
			return line
		}
		select {
		case <-ctx.Done():
			return line
		case <-ticker.C:
		}
	}
}

// edited begins the line that edit adds.
const edited = "# edited at "

// stripped is a file without that line.
func stripped(data []byte) []byte {
	kept, _, _ := bytes.Cut(data, []byte(edited))
	return kept
}
