// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// enableOneNode takes a cluster in use from plaintext to encryption, changes how it is encrypted, goes back, and lets
// it grow.
func enableOneNode(t *testing.T, c *cluster) {
	c.seed(t)
	c.seedMany(t)
	c.seedWidgets(t)
	before := c.setting(t)
	c.prove(t, []proof{
		{"enable encrypts what was plaintext", inShort, c.enablePlaintext},
		{"enable on a cluster that is as it should be changes nothing", inShort, c.enableTwice},
		{"an earlier key writes again, and a key that nothing needs leaves", inShort, c.rollBack},
		{"enable converts to another provider", inFull, c.enableOthers},
		{"resources come and go", inFull, c.changeResources},
		{"disable decrypts everything", inFull, c.decrypt},
		{"enable works again", inFull, c.enableAgain},
		{"a control-plane node joins while encryption is on", inFull, c.joinNode},
	}...)
	if c.env.depth == inShort { // else flags are taken out of a node on which everything has gone wrong before
		t.Run("disable takes the flags out", func(t *testing.T) { c.removeFlags(t, before) })
	}
}

func (c *cluster) enablePlaintext(t *testing.T) {
	c.checkStorage(t, both(plaintext))
	enable := c.succeed
	if c.env.depth > inShort {
		enable = c.succeedWithoutTrace
	}
	enable(t, "enable", "--yes", "--provider", "secretbox", "--resources", "secrets,configmaps")
	c.checkEncrypted(t, both("secretbox"))
	c.checkMany(t)
}

func (c *cluster) enableTwice(t *testing.T) {
	files, manifests := c.digests(t), c.setting(t)
	c.succeed(t, "enable", "--yes", "--provider", "secretbox", "--resources", "secrets,configmaps")
	assert.Equal(t, files, c.digests(t))
	assert.Equal(t, manifests, c.setting(t))
	c.checkEncrypted(t, both("secretbox"))
}

func (c *cluster) enableOthers(t *testing.T) {
	for _, provider := range []string{"aesgcm", "aescbc"} {
		end := c.readAlways(t)
		c.succeed(t, "enable", "--yes", "--provider", provider)
		end()
		c.checkEncrypted(t, both(provider))
		c.checkMany(t)
	}
}

// changeResources adds a custom resource and takes ConfigMaps out, without a restart.
func (c *cluster) changeResources(t *testing.T) {
	end := c.readAlways(t)
	c.succeed(t, "enable", "--yes", "--resources", "secrets,configmaps,"+widgets)
	c.checkEncrypted(t, storage{"secrets": "aescbc", "configmaps": "aescbc", widgets: "aescbc"})
	c.checkWidgets(t)
	c.succeed(t, "disable", "--yes", "--resources", "configmaps")
	c.checkEncrypted(t, storage{"secrets": "aescbc", "configmaps": plaintext, widgets: "aescbc"})
	c.checkMany(t)
	c.succeed(t, "enable", "--yes", "--resources", "secrets,configmaps,"+widgets)
	c.checkEncrypted(t, storage{"secrets": "aescbc", "configmaps": "aescbc", widgets: "aescbc"})
	end()
	c.checkMany(t)
}

// decrypt turns encryption off and leaves the flags.
func (c *cluster) decrypt(t *testing.T) {
	end := c.readAlways(t)
	c.reach(t, []string{"disable"}, "promote", "await", "settle", "migrate", "verify", "close")
	end()
	c.checkFlagsEverywhere(t)
	c.checkCalm(t, storage{"secrets": plaintext, "configmaps": plaintext, widgets: plaintext})
	c.checkMany(t)
	c.checkWidgets(t)
}

// enableAgain turns encryption on where the flags are there.
func (c *cluster) enableAgain(t *testing.T) {
	end := c.readAlways(t)
	c.reach(t, []string{"enable"}, "add-read-key", "await", "promote", "settle", "migrate", "verify", "close")
	end()
	c.checkEncrypted(t, both("aesgcm"))
	c.checkMany(t)
}

// removeFlags turns encryption off and has the node as it was before it was turned on.
func (c *cluster) removeFlags(t *testing.T, before setting) {
	keys := c.nodes[0].history(t)
	c.reach(t, []string{"disable", "--remove-flags"}, "age", "kubeadm-config", "edit-manifest", "await-edit")
	c.checkOff(t, before)
	assert.Subset(t, c.nodes[0].history(t), keys, "keys stay in the node's history")
}

// enableThreeNodes asks all kube-apiservers at all times while they restart, one after the other.
func enableThreeNodes(t *testing.T, c *cluster) {
	c.seed(t)
	c.seedMany(t)
	before := c.setting(t)
	c.throughRestarts(t, "enable fails no read", func(t *testing.T) {
		c.reach(t, []string{"enable", "--provider", "aescbc"}, "edit-manifest", "await-edit", "kubeadm-config")
		c.checkEncrypted(t, both("aescbc"))
	})
	c.throughRestarts(t, "disable takes everything back and fails no read", func(t *testing.T) {
		if c.env.depth < inThorough { // flags are taken out of one node elsewhere
			c.succeed(t, "disable", "--yes")
			c.checkCalm(t, both(plaintext))
			return
		}
		c.succeed(t, "disable", "--yes", "--remove-flags")
		c.checkOff(t, before)
	})
}

// reach runs a command to its end, killed on its way and gone on with at every step of some stages where the tests are
// thorough.
func (c *cluster) reach(t *testing.T, command []string, stages ...string) {
	t.Helper()
	if c.env.depth >= inThorough {
		c.killEveryStep(t, command, stages, c.calmDown)
		return
	}
	c.succeed(t, append(command, "--yes")...)
}

// throughRestarts runs a test while a client reads, and compares all objects afterwards.
func (c *cluster) throughRestarts(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) {
		end := c.readThroughRestarts(t)
		test(t)
		end()
		c.checkMany(t)
	})
}

// calmDown is for after a kill: whoever resumes does so when the kube-apiservers serve.
func (c *cluster) calmDown(t *testing.T, _ string) {
	t.Helper()
	c.awaitCalm(t)
}
