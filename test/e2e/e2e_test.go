// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fast is how often kube-apiservers look at their files in most tests. Kubernetes' own minute is tried once.
const fast = "2s"

// soon is how often etcd is compacted where a test waits for what older revisions need.
const soon = "3s"

// TestMain lets the tests of all clusters run at the same time, however few processors there are: most of their time
// goes by in waiting.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// chain is what is proven on one cluster: tests that follow each other, each of which begins with a cluster that is settled and
// leaves it so.
type chain struct {
	name  string
	from  depth
	shape shape
	run   func(t *testing.T, c *cluster)
}

// chains are in the order in which they begin: those that take longest first.
func chains() []chain {
	return []chain{
		{"one node", inShort, shape{name: "1", nodes: 1, encryption: "aesgcm", reloadPoll: fast, audit: true}, oneNode},
		{"three nodes", inShort, shape{name: "3", nodes: 3, encryption: "aesgcm", reloadPoll: fast, audit: true}, threeNodes},
		{"one node that is plaintext", inShort, shape{name: "enable", nodes: 1, joins: 1, encryption: "none", reloadPoll: fast, compaction: soon}, enableOneNode},
		{"one node on which something goes wrong", inFull, shape{name: "wayback", nodes: 1, encryption: "none", reloadPoll: fast, compaction: soon}, wayBack},
		{"three nodes that are plaintext", inFull, shape{name: "enable-3", nodes: 3, encryption: "none", reloadPoll: fast, compaction: soon}, enableThreeNodes},
		{"one node, with a plugin that is killed", inFull, shape{name: "killed", nodes: 1, encryption: "aesgcm", reloadPoll: fast}, killed},
		{"one node without encryption", inFull, shape{name: "none", nodes: 1, encryption: "none", reloadPoll: fast}, withoutEncryption},
		{"one node with the reload of a stock cluster", inFull, shape{name: "stock", nodes: 1, encryption: "aesgcm", reloadPoll: "1m"}, stockReload},
		{"three nodes that others leave", inThorough, shape{name: "shrinks", nodes: 3, encryption: "aesgcm", reloadPoll: fast, compaction: soon}, othersLeave},
		{"one node that others join", inThorough, shape{name: "grows", nodes: 1, joins: 2, encryption: "aesgcm", reloadPoll: fast, compaction: soon}, othersJoin},
		{"three nodes that are plaintext, one without power", inThorough, shape{name: "enable-2-of-3", nodes: 3, encryption: "none", reloadPoll: fast, compaction: soon}, enableWithoutOne},
		{"one node of an older Kubernetes", inThorough, shape{name: "older", nodes: 1, encryption: "aesgcm", reloadPoll: fast, kubernetes: older}, olderNode},
		{"three nodes of an older Kubernetes", inThorough, shape{name: "older-3", nodes: 3, encryption: "aesgcm", reloadPoll: fast, kubernetes: older}, olderNodes},
	}
}

// TestEndToEnd runs the chains, those of different clusters at the same time.
func TestEndToEnd(t *testing.T) {
	env := newEnvironment(t)
	for _, ch := range chains() {
		if env.depth < ch.from {
			continue
		}
		t.Run(ch.name, func(t *testing.T) {
			t.Parallel()
			ch.run(t, env.start(t, ch.shape))
		})
	}
}

// proof is one test of a chain.
type proof struct {
	name string
	from depth
	run  func(t *testing.T)
}

// prove runs those of the tests that belong to the depth that was asked for.
func (c *cluster) prove(t *testing.T, proofs ...proof) {
	t.Helper()
	for _, p := range proofs {
		if c.env.depth >= p.from {
			t.Run(p.name, p.run)
		}
	}
}

func threeNodes(t *testing.T, c *cluster) {
	if c.untouched {
		t.Run("status tells nothing that it does not know", c.checkUntouchedStatus)
	}
	c.seed(t)
	c.prove(t, []proof{
		{"a rotation moves everything to a new key and leaves no trace of it", inShort, c.rotateWithoutTrace},
		{"a rotation that was killed can be taken back before its key writes", inFull, c.takeBackWhatWasKilled},
		{"a rotation that is killed at every stage goes on each time", inFull, c.killEveryStage},
		{"a push that is killed half-way is finished", inShort, c.finishPush},
		{"files that differ by somebody's hand are refused", inShort, c.refuseDiffering},
		{"verify finds a key in the history of a single node", inFull, c.verifyForgotten},
		{"no write of others is lost in a rotation", inShort, func(t *testing.T) { c.rotateUnderWrites(t) }},
		{"a node that is silent is waited for, or left out and named", inThorough, c.leaveOut},
		{"a node that comes back without the key that writes is mended by hand", inThorough, c.comeBackWithoutKey},
		{"nodes that all differ are brought to one configuration", inThorough, c.repairDiffering},
		{"a node whose kube-apiserver is down is mended as repair says", inThorough, c.repairDown},
	}...)
}

func oneNode(t *testing.T, c *cluster) {
	if c.untouched {
		t.Run("status tells nothing that it does not know", c.checkUntouchedStatus)
	}
	c.seed(t)
	c.prove(t, []proof{
		{"status never calls a rotation under way well", inShort, c.rotateUnderWatch},
		{"verify tells from etcd itself what is stored", inShort, c.verify},
		{"a rotation converts to another provider", inFull, c.convert},
		{"what can't be done is refused", inFull, c.refuseAll},
		{"a file that is lost is found again", inShort, c.repairOne},
		{"a file that is lost is restored without an API server", inFull, c.restoreOffline},
		{"one change at a time", inFull, c.refuseSecond},
		{"no write of others is lost in a rotation by the cluster's own controller", inFull, func(t *testing.T) {
			c.rotateUnderWrites(t, "--engine=svm")
		}},
		{"keys stay as long as something may need them", inFull, c.keepTwoTooEarly},
		{"keys leave when nothing can need them", inFull, c.keepTwo},
		{"the shipped roles are what it needs", inFull, c.checkRoles},
		{"a key that etcd holds a value under stays, and so do the flags", inFull, c.keepPlanted},
	}...)
}

func killed(t *testing.T, c *cluster) {
	c.seed(t)
	end := c.readAlways(t)
	t.Run("a rotation that is interrupted tidies up, and goes on", c.interrupt)
	t.Run("a rotation that is killed in the middle of its migration goes on", c.killInMigration)
	t.Run("a rotation that is killed goes on from any step", c.killAtEveryStep)
	end()
}

func (c *cluster) takeBackWhatWasKilled(t *testing.T) {
	end := c.readAlways(t)
	t.Run("with the key on every node", c.abort)
	t.Run("with the key on its way to the nodes", c.abortHalfWay)
	end()
}

func (c *cluster) killEveryStage(t *testing.T) {
	end := c.readAlways(t)
	stages := []string{"add-read-key", "await", "promote", "settle", "migrate", "verify", "close"}
	c.killEveryStep(t, []string{"rotate"}, stages, func(t *testing.T, stage string) {
		if stage == "settle" {
			c.refuse(t, []string{"has been the write key", "--resume"}, "rotate", "--abort", "--yes")
		}
	})
	end()
	c.checkSettled(t)
	c.checkHealthyStatus(t)
}

func (c *cluster) finishPush(t *testing.T) {
	end := c.readAlways(t)
	c.killInPush(t, "promote")
	c.succeed(t, "rotate", "--resume", "--yes")
	end()
	c.checkSettled(t)
}

func (c *cluster) refuseDiffering(t *testing.T) {
	c.refuseEdited(t, c.nodes[1], twoKeysMore, "differ", "n1 sha256:", "n2 sha256:", "n3 sha256:")
	c.checkSettled(t)
}

func (c *cluster) refuseAll(t *testing.T) {
	t.Run("without consent and without a terminal", func(t *testing.T) {
		c.refuse(t, []string{"no terminal", "nothing was changed", "--yes"}, "rotate")
	})
	t.Run("a resource that is not served", func(t *testing.T) {
		c.refuse(t, []string{"nonsense"}, "migrate", "--resources", "nonsense")
	})
	t.Run("without permission", func(t *testing.T) {
		c.refuse(t, []string{"create jobs.batch", "create leases.coordination.k8s.io", "nothing was changed"},
			"rotate", "--yes", "--kubeconfig="+c.restricted(t))
	})
	t.Run("an image that can't be pulled", func(t *testing.T) {
		c.refuse(t, []string{"n1", "Pull"}, "rotate", "--yes", "--agent-image", "registry.invalid/agent@"+digest(nil))
	})
	t.Run("pods that are not admitted", c.refuseWithoutPods)
	t.Run("files that are not understood", c.refuseUnusableFiles)
	c.succeed(t, "rotate", "--yes")
	c.checkSettled(t)
	c.checkHealthyStatus(t)
}

func (c *cluster) rotateWithoutTrace(t *testing.T) {
	before := c.writeKey(t)
	endReading := c.readAlways(t)
	c.succeedWithoutTrace(t, "rotate", "--yes")
	endReading()
	k := c.checkSettled(t)
	assert.NotEqual(t, before.name, k.name)
	c.checkHealthyStatus(t)
}

// abort takes back a rotation that was killed when its key was on every node as a read key.
func (c *cluster) abort(t *testing.T) {
	before := c.nodes[0].keys(t)
	p := c.begin(t, "rotate", "--yes")
	_, ok := p.until(func(e event) bool { return e.starts("await") })
	require.True(t, ok, "%s", &p.stderr)
	p.kill(t)
	for _, n := range c.nodes {
		require.Len(t, n.keys(t), len(before)+1, "%s has the new key", n.name)
	}
	c.takeBack(t, before)
}

// abortHalfWay takes back a rotation that was killed when its key came to the nodes.
func (c *cluster) abortHalfWay(t *testing.T) {
	before := c.nodes[0].keys(t)
	c.killInPush(t, "add-read-key")
	c.takeBack(t, before)
}

// takeBack aborts and requires that the nodes have the keys that they had before.
func (c *cluster) takeBack(t *testing.T, before []key) {
	t.Helper()
	c.succeed(t, "rotate", "--abort", "--yes")
	for _, n := range c.nodes {
		assert.Equal(t, before, n.keys(t), "%s does not have the new key", n.name)
	}
	assert.Equal(t, before[0], c.checkSettled(t), "nothing is stored with the new key")
	assert.True(t, c.status(t).Healthy)
}

func (c *cluster) convert(t *testing.T) {
	for _, provider := range []string{"secretbox", "aescbc"} {
		end := c.readAlways(t)
		c.succeed(t, "rotate", "--yes", "--provider", provider)
		end()
		assert.Equal(t, provider, c.checkSettled(t).provider)
		c.checkHealthyStatus(t)
	}
}

func (c *cluster) rotateUnderWrites(t *testing.T, flags ...string) {
	end := c.writeAlways(t)
	c.succeed(t, append([]string{"rotate", "--yes"}, flags...)...)
	c.succeed(t, append([]string{"migrate", "--resources", "secrets,configmaps"}, flags...)...)
	end()
	c.checkSettled(t)
	c.checkHealthyStatus(t)
}

func withoutEncryption(t *testing.T, c *cluster) {
	r := c.plugin(t, "rotate", "--yes")
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.stderr, "encryption is not configured")
	assert.Contains(t, r.stderr, "enable")
	c.checkNothingLeft(t)
	s := c.status(t)
	assert.Equal(t, "Disabled", s.Encryption)
	assert.False(t, s.Healthy)
	c.verifyPlaintext(t)
}

// stockReload is for a cluster that ends with its tests: the last one does not put back what it changes.
func stockReload(t *testing.T, c *cluster) {
	c.seed(t)
	t.Run("a rotation waits for the reload", func(t *testing.T) {
		before := c.writeKey(t)
		end := c.readAlways(t)
		c.succeed(t, "rotate", "--yes")
		end()
		assert.NotEqual(t, before, c.checkSettled(t))
		c.checkHealthyStatus(t)
	})
	t.Run("a rotation whose time is over is resumed", c.timeOut)
	t.Run("a kube-apiserver that does not reload is refused", c.refuseWithoutReload)
	t.Run("a rotation whose flags are lost is carried on by what gives them back", c.carryOnWithFlags)
}

// timeOut rotates with no time to wait in. The kube-apiserver has just looked at its file for the rotation before; it
// looks again when a good part of a minute is over.
func (c *cluster) timeOut(t *testing.T) {
	before := c.writeKey(t)
	r := c.plugin(t, "rotate", "--yes", "--converge-timeout", "1ms")
	t.Log(r.failure())
	assert.Equal(t, 124, r.code, "time that is over is no failure")
	assert.Contains(t, r.stderr, "rotate --resume")
	c.checkNothingLeft(t)
	c.succeed(t, "rotate", "--resume", "--yes")
	assert.NotEqual(t, before, c.checkSettled(t))
}
