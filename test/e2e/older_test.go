// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// older is a version of Kubernetes whose kube-apiservers do not say which configuration they have loaded: that came with 1.34.
const older = "v1.33.13"

// repairOlder is repair where a kube-apiserver may have loaded any file of its node, for all that is known.
func (c *cluster) repairOlder(t *testing.T) {
	n := c.nodes[len(c.nodes)-1]
	c.succeed(t, "rotate", "--yes")
	c.checkSettledOlder(t)
	agreed := n.read(t)
	for _, lost := range []struct {
		name string
		lose func()
	}{
		{"cut", func() { n.put(t, agreed[:len(agreed)/2]) }},
		{"gone", func() { require.NoError(t, os.Remove(n.configFile())) }},
	} {
		t.Run("a file that is "+lost.name, func(t *testing.T) {
			lost.lose()
			c.refuse(t, []string{"kubectl encryption repair"}, "rotate", "--yes")
			c.repairAndRestart(t, n)
			assert.Equal(t, string(agreed), string(n.read(t)), "the very file is back")
			c.checkSettledOlder(t)
		})
	}
	t.Run("and verify goes by the files of all nodes", func(t *testing.T) {
		r := c.succeed(t, "verify")
		t.Log(r.stdout, r.stderr)
	})
	t.Run("and a rotation works", func(t *testing.T) {
		before := c.writeKey(t)
		c.awaitSuccess(t, "", "rotate", "--yes")
		assert.NotEqual(t, before, c.checkSettledOlder(t))
	})
}

// repairAndRestart has repair give a node the file that its kube-apiserver has loaded. To load it once more is no reload there, so
// nothing but a restart proves it, as repair says.
func (c *cluster) repairAndRestart(t *testing.T, n *node) {
	t.Helper()
	r := c.plugin(t, "repair", "--yes", "--converge-timeout", "20s")
	t.Log(r.failure())
	require.Equal(t, 124, r.code)
	assert.Contains(t, r.stderr, "before Kubernetes 1.34 a kube-apiserver may load a file without telling: restart the one that lags, then go on")
	c.exec(t, n, "pkill", "-9", "kube-apiserver")
	n.awaitReloaded(t)
	c.awaitCalm(t)
	c.awaitSteady(t)
	c.awaitSuccess(t, "", "repair", "--yes")
}

// repairDifferingOlder has three nodes that all differ: an older file, one that was edited by hand, and the newest. Each kube-apiserver
// has reloaded since its file was written, so that it is known what it has loaded.
func (c *cluster) repairDifferingOlder(t *testing.T) {
	old := c.writeKey(t)
	c.succeed(t, "rotate", "--yes")
	agreed := c.checkSettledOlder(t)
	end := c.readSeeds(t)
	c.nodes[0].put(t, c.nodes[0].revisionOf(t, old, agreed))
	c.nodes[1].put(t, []byte(twoKeysMore(string(c.nodes[1].read(t)))))
	for _, n := range c.nodes[:2] {
		n.awaitReloaded(t)
	}
	c.succeed(t, "repair", "--yes")
	end()
	c.succeed(t, "migrate", "--resources", "secrets,configmaps")
	assert.Equal(t, agreed, c.checkSettledOlder(t))
	for _, name := range []string{"mine", "yours", old.name} {
		assert.Contains(t, string(c.nodes[2].read(t)), "name: "+quoted(name), "no key is lost")
	}
}

// checkSettledOlder is checkSettled, but for what a kube-apiserver says of its file.
func (c *cluster) checkSettledOlder(t *testing.T) key {
	t.Helper()
	k := c.writeKey(t)
	for _, n := range c.nodes {
		require.Equal(t, string(c.nodes[0].read(t)), string(n.read(t)), "the file of %s is that of %s", n.name, c.nodes[0].name)
		n.awaitReloaded(t)
		n.checkFiles(t)
	}
	c.checkStored(t, k)
	c.checkReadable(t)
	c.checkNothingLeft(t)
	return k
}

var reloadedPattern = regexp.MustCompile(`(?m)^apiserver_encryption_config_controller_automatic_reload_last_timestamp_seconds\{.*status="success"\} (\S+)$`)

// awaitReloaded waits until the node's kube-apiserver has reloaded since its file was written, or was started later.
func (n *node) awaitReloaded(t *testing.T) {
	t.Helper()
	info, err := os.Stat(n.configFile())
	require.NoError(t, err)
	until(t, func() bool {
		text, err := n.metrics(t.Context())
		return err == nil && (newest(text, reloadedPattern).After(info.ModTime()) || newest(text, startedPattern).After(info.ModTime()))
	}, "the kube-apiserver of %s reloads", n.name)
}

var startedPattern = regexp.MustCompile(`(?m)^process_start_time_seconds (\S+)$`)

// newest is the latest of the times that metrics of a pattern have.
func newest(text string, pattern *regexp.Regexp) (latest time.Time) {
	for _, found := range pattern.FindAllStringSubmatch(text, -1) {
		seconds, err := strconv.ParseFloat(strings.TrimSpace(found[1]), 64)
		if at := time.UnixMilli(int64(seconds * 1000)); err == nil && at.After(latest) {
			latest = at
		}
	}
	return latest
}
