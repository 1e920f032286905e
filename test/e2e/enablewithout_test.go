// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// enableWithout turns encryption on while a node has no power, first without it and then with it.
func (c *cluster) enableWithout(t *testing.T) {
	last := c.nodes[len(c.nodes)-1]
	plain := last.manifest(t)
	c.cutOff(t, last)
	files := c.digests(t)
	refusal := c.awaitRefusal(t, "node "+last.name+" is silent", "enable", "--yes")
	for _, says := range []string{"--ignore-node " + last.name, "kubectl delete node " + last.name, "nothing was changed"} {
		assert.Contains(t, refusal, says)
	}
	assert.Equal(t, files, c.digests(t), "no file is changed")
	r := c.awaitSuccess(t, "can't be left out", "enable", "--yes", "--ignore-node", last.name)
	t.Log(r.stdout, r.stderr)
	assert.Contains(t, r.stderr, "node "+last.name+" is left out")
	c.checkStorage(t, both(c.writeKey(t).provider))
	c.checkBehind(t, last)

	last = c.switchOn(t, last)
	require.Equal(t, plain, last.manifest(t), "it comes back as it was")
	until(t, func() bool {
		return strings.Contains(strings.Join(c.status(t).Hints, "\n"), "kubeadm init phase control-plane apiserver")
	},
		"status tells what it needs")
	c.furnishNamed(t, last)
	t.Log(c.exec(t, last, "sh", "-ec", `KUBECONFIG=/etc/kubernetes/admin.conf kubectl -n kube-system get configmap kubeadm-config \
		-o jsonpath='{.data.ClusterConfiguration}' > /root/cluster.yaml
		kubeadm init phase control-plane apiserver --config /root/cluster.yaml`))
	c.awaitCalm(t)
	c.awaitSteady(t)
	c.checkLoaded(t)
	c.checkFlagsEverywhere(t)
	c.succeed(t, "migrate", "--resources", "secrets,configmaps")
	c.checkSettled(t)
	c.checkHealthyStatus(t)
	t.Run("and a rotation works", c.rotateAll)
}

// enableWhileOneLeaves takes a node out of the cluster in the middle of an enable, whose manifests are edited one by one.
func (c *cluster) enableWhileOneLeaves(t *testing.T) {
	c.succeed(t, "disable", "--yes", "--remove-flags")
	c.checkStorage(t, both(plaintext))
	c.killAt(t, "edit-manifest", "enable", "--yes")
	c.awaitCalm(t)
	c.takeOut(t, c.nodes[2])
	r := c.awaitSuccess(t, "", "enable", "--resume", "--yes")
	t.Log(r.stdout, r.stderr)
	c.checkStorage(t, both(c.writeKey(t).provider))
	c.checkFlagsEverywhere(t)
	c.checkSettled(t)
	c.checkHealthyStatus(t)
}

// furnishNamed gives a node of the cluster the agreed file, as docs/join.md says.
func (c *cluster) furnishNamed(t *testing.T, n *node) {
	t.Helper()
	agent := c.copyAgent(t, n)
	recipient := strings.TrimSpace(c.exec(t, n, agent, "recipient"))
	c.install(t, n, agent, c.succeed(t, "join", "--name", n.name, "--recipient", recipient).stdout)
}
