// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/wait"
)

// repairOne loses the file of the only node, in whatever way, while its kube-apiserver goes on.
func (c *cluster) repairOne(t *testing.T) {
	n := c.nodes[0]
	c.succeed(t, "rotate", "--yes") // the node has a history then
	agreed := n.read(t)
	before := c.digests(t)
	r := c.succeed(t, "repair", "-o", "json")
	assert.Contains(t, r.stdout, "nothing to repair")
	assert.Equal(t, before, c.digests(t), "nothing to repair, nothing written")
	end := c.readAlways(t)
	for name, lose := range map[string]func(){
		"cut":  func() { n.put(t, agreed[:len(agreed)/2]) },
		"gone": func() { require.NoError(t, os.Remove(n.configFile())) },
	} {
		t.Run("the file is "+name, func(t *testing.T) {
			lose()
			c.refuse(t, []string{"kubectl encryption repair"}, "rotate", "--yes")
			c.refuse(t, []string{"needs your consent"}, "repair")
			r := c.succeed(t, "repair", "--dry-run")
			assert.Contains(t, r.stdout, "from the history of "+n.name)
			c.checkNothingLeft(t)
			c.succeed(t, "repair", "--yes")
			assert.Equal(t, string(agreed), string(n.read(t)), "the very file is back")
		})
	}
	end()
	c.checkSettled(t)
	c.checkHealthyStatus(t) // though the kube-apiserver tells of the last reload, which failed
}

// restoreOffline mends the only node while there is no API server, as docs/recovery.md says.
func (c *cluster) restoreOffline(t *testing.T) {
	n := c.nodes[0]
	agreed := n.read(t)
	agent := c.copyAgent(t, n)
	n.put(t, []byte("kind: nonsense\n"))
	c.exec(t, n, "pkill", "-9", "kube-apiserver")
	n.awaitDown(t)
	r := c.plugin(t, "repair", "--yes")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.stderr, "encryption-agent restore")
	t.Log(c.exec(t, n, agent, "restore", "--yes"))
	assert.Equal(t, string(agreed), string(n.read(t)))
	require.NoError(t, os.Remove(filepath.Join(n.root, agent)))
	c.awaitCalm(t)
	c.awaitSteady(t)
	c.checkSettled(t)
}

// awaitDown waits until the node's kube-apiserver has not answered for a while: it does not start any more.
func (n *node) awaitDown(t *testing.T) {
	t.Helper()
	silent := 0
	const enough = 5
	err := wait.PollUntilContextTimeout(t.Context(), time.Second, waitLimit, true, func(ctx context.Context) (bool, error) {
		if silent++; n.ready(ctx) {
			silent = 0
		}
		return silent >= enough, nil
	})
	require.NoError(t, err, "the kube-apiserver of %s is down", n.name)
}

// awaitSteady waits until the plugin finds the control plane in order: Leases and mirror pods take their time.
func (c *cluster) awaitSteady(t *testing.T) {
	t.Helper()
	until(t, func() bool {
		r := c.plugin(t, "repair", "--dry-run", "-o", "json")
		return r.code == 0 && !strings.Contains(r.stdout, `"silent"`)
	}, "the control plane is in order")
}

// repairDiffering has three nodes that all differ: an older file, one that was edited by hand, and none.
func (c *cluster) repairDiffering(t *testing.T) {
	old := c.writeKey(t)
	c.succeed(t, "rotate", "--yes")
	agreed := c.writeKey(t)
	require.NotEqual(t, old, agreed)
	older, edited, lost := c.nodes[0], c.nodes[1], c.nodes[2]
	end := c.readAlways(t)
	older.put(t, older.revisionOf(t, old, agreed))
	edited.put(t, []byte(twoKeysMore(string(edited.read(t)))))
	c.awaitLoaded(t)
	require.NoError(t, os.Remove(lost.configFile()))
	c.seedMany(t) // some of it is stored with the old key

	r := c.succeed(t, "repair", "--dry-run")
	t.Log(r.stdout)
	assert.Contains(t, r.stdout, "Node "+older.name)
	assert.Regexp(t, "Node "+lost.name+": .*not there", r.stdout)
	c.checkNothingLeft(t)
	r = c.succeedWithoutTrace(t, "repair", "--yes")
	assert.Contains(t, r.stderr, "kubectl encryption migrate --resources")
	end()

	c.checkLoaded(t)
	assert.Equal(t, agreed, c.writeKey(t), "the newest key that a kube-apiserver has written with")
	for _, name := range []string{"mine", "yours", old.name} {
		assert.Contains(t, string(lost.read(t)), "name: "+quoted(name), "no key is lost")
	}
	c.checkMany(t)
	c.succeed(t, "migrate", "--resources", "secrets,configmaps")
	c.checkSettled(t)
	t.Run("and a rotation works", c.rotateAll)
}

// quoted is a key's name as our files have it.
func quoted(name string) string {
	if strings.Trim(name, "0123456789") == "" {
		return `"` + name + `"`
	}
	return name
}

// revisionOf is a file of the node's history that writes with one key and reads another.
func (n *node) revisionOf(t *testing.T, writes, reads key) []byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(n.historyFolder(), "*.yaml"))
	require.NoError(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		first := strings.Index(string(data), writes.secret)
		if second := strings.Index(string(data), reads.secret); first >= 0 && second > first {
			return data
		}
	}
	require.Fail(t, "no such revision")
	return nil
}

// repairDown has a node whose kube-apiserver is down for its file: it is mended by the commands that repair prints.
func (c *cluster) repairDown(t *testing.T) {
	n := c.nodes[2]
	n.put(t, []byte("kind: nonsense\n"))
	c.exec(t, n, "pkill", "-9", "kube-apiserver")
	n.awaitDown(t)
	c.mendAsRepairSays(t, n)
	c.checkReadable(t)
}

// mendAsRepairSays gives a node the agreed file by the commands that repair prints, and waits until its kube-apiserver has loaded it.
func (c *cluster) mendAsRepairSays(t *testing.T, n *node) {
	t.Helper()
	agent := c.copyAgent(t, n)
	var r result
	until(t, func() bool {
		r = c.plugin(t, "repair", "--yes")
		return strings.Contains(r.stderr, "encryption-agent install")
	}, "the node is seen to be down")
	t.Log(r.stderr)
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.stderr, "hint:  ssh "+n.name+" sudo encryption-agent recipient > recipient.txt\n")
	assert.Contains(t, r.stderr, "hint:  kubectl encryption join --name "+n.name+
		" --recipient @recipient.txt | ssh "+n.name+" sudo encryption-agent install\n")

	recipient := filepath.Join(t.TempDir(), "recipient.txt")
	require.NoError(t, os.WriteFile(recipient, []byte(c.exec(t, n, agent, "recipient")), 0o600))
	bundle := c.succeed(t, "join", "--name", n.name, "--recipient", "@"+recipient).stdout
	c.install(t, n, agent, bundle)
	require.NoError(t, os.Remove(filepath.Join(n.root, agent)))
	require.NoError(t, os.Remove(filepath.Join(n.root, bundlePath)))
	c.awaitCalm(t)
	c.awaitSteady(t)
	c.checkLoaded(t)
}
