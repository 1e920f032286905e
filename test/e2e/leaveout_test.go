// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// leaveOut switches a node off in the middle of a rotation: nothing is promoted while it is silent, unless it is left out,
// and when it comes back it is named until it is as the others.
func (c *cluster) leaveOut(t *testing.T) {
	last := c.nodes[len(c.nodes)-1]
	before := c.writeKey(t)
	p := c.begin(t, "rotate", "--yes")
	_, ok := p.until(func(e event) bool { return e.Event == "step-progress" && e.Stage == "await" })
	require.True(t, ok, "%s", &p.stderr)
	p.kill(t)
	require.Equal(t, before, last.keys(t)[0])
	c.awaitNoAgents(t)
	c.cutOff(t, last)

	files := c.digests(t)
	refusal := c.awaitRefusal(t, "node "+last.name+" is silent", "rotate", "--resume", "--yes")
	for _, says := range []string{"--ignore-node " + last.name, "kubectl delete node " + last.name, "nothing was changed"} {
		assert.Contains(t, refusal, says)
	}
	assert.Equal(t, files, c.digests(t), "no file is changed")
	ignoring := []string{"rotate", "--resume", "--yes", "--ignore-node", last.name}
	r := c.awaitSuccess(t, "can't be left out", ignoring...)
	t.Log(r.stdout, r.stderr)
	for _, says := range []string{"node " + last.name + " is left out", "join --name " + last.name, "repair", "but the left out one on " + last.name} {
		assert.Contains(t, r.stdout+r.stderr, says)
	}
	k := c.writeKey(t)
	assert.NotEqual(t, before, k, "the rotation has gone on")
	c.checkStored(t, k)
	c.checkBehind(t, last)

	last = c.switchOn(t, last)
	c.awaitCalm(t)
	require.Equal(t, before, last.keys(t)[0], "it comes back as it was")
	c.refuse(t, []string{"node " + last.name + " can't be left out", "nothing was changed"}, "rotate", "--yes", "--ignore-node", last.name)
	c.checkBehind(t, last)
	c.succeed(t, "rotate", "--resume", "--yes")
	assert.Equal(t, k, c.checkSettled(t))
	c.checkHealthyStatus(t)
}

// cutOff takes a node its power. Its kubelet has been heard of before, so that its silence can be told.
func (c *cluster) cutOff(t *testing.T, n *node) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Second, waitLimit, true, func(ctx context.Context) (bool, error) {
		lease, err := c.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(ctx, n.name, metav1.GetOptions{})
		return err == nil && lease.Spec.RenewTime != nil && len(lease.OwnerReferences) > 0, nil
	})
	require.NoError(t, err, "the kubelet of %s has a Lease", n.name)
	c.harness(t, []string{"node", "kill"}, n.name)
}

// switchOn gives the last node its power back, and the node as it is then.
func (c *cluster) switchOn(t *testing.T, last *node) *node {
	t.Helper()
	c.harness(t, []string{"node", "start"}, last.name)
	c.read(t)
	return c.nodes[len(c.nodes)-1]
}

// comeBackWithoutKey switches a node off before a rotation, which leaves it out. It comes back without the key that writes now, and is
// mended by hand: where its kube-apiserver can't read what is stored, no Job can be started on it.
func (c *cluster) comeBackWithoutKey(t *testing.T) {
	last := c.nodes[len(c.nodes)-1]
	before := c.writeKey(t)
	c.cutOff(t, last)
	c.awaitSuccess(t, "node "+last.name, "rotate", "--yes", "--ignore-node", last.name)
	k := c.writeKey(t)
	require.NotEqual(t, before, k, "the rotation has gone on")
	c.checkStored(t, k)
	c.checkBehind(t, last)

	last = c.switchOn(t, last)
	require.NotContains(t, last.keys(t), k, "it comes back as it was")
	c.mendAsRepairSays(t, last)
	require.Equal(t, string(c.nodes[0].read(t)), string(last.read(t)))
	c.succeed(t, "migrate", "--resources", "secrets,configmaps") // what it has written meanwhile
	assert.Equal(t, k, c.checkSettled(t))
	c.checkReadable(t)
	c.checkHealthyStatus(t)
}

// checkBehind requires that status names a node that was left out, and what it needs.
func (c *cluster) checkBehind(t *testing.T, n *node) {
	t.Helper()
	s := c.status(t)
	assert.False(t, s.Healthy)
	require.NotEmpty(t, s.Problems)
	assert.Contains(t, s.Problems[0], "node "+n.name+" was left out")
	assert.Contains(t, s.Summary, n.name)
	assert.Contains(t, strings.Join(s.Hints, "\n"), "repair")
}

// awaitNoAgents waits until no pod of an agent is left: on a node that is switched off it would stay.
func (c *cluster) awaitNoAgents(t *testing.T) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Second, waitLimit, true, func(ctx context.Context) (bool, error) {
		pods, err := c.client.CoreV1().Pods(systemNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + ourName})
		return err == nil && len(pods.Items) == 0, nil
	})
	require.NoError(t, err)
}

// awaitRefusal runs the plugin until it is refused in certain words. Until then it fails as well.
func (c *cluster) awaitRefusal(t *testing.T, says string, args ...string) (refusal string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Second, waitLimit, true, func(ctx context.Context) (bool, error) {
		r, err := c.run(ctx, args...)
		refusal = r.failure()
		t.Log(refusal)
		assert.NotZero(t, r.code)
		return strings.Contains(r.stderr, says), err
	})
	require.NoError(t, err)
	return refusal
}

// awaitSuccess runs the plugin until it succeeds. Until then it is refused in certain words.
func (c *cluster) awaitSuccess(t *testing.T, refused string, args ...string) (r result) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Second, waitLimit, true, func(ctx context.Context) (_ bool, err error) {
		r, err = c.run(ctx, args...)
		if r.code != 0 {
			t.Log(r.failure())
			require.Contains(t, r.stderr, refused)
		}
		return r.code == 0, err
	})
	require.NoError(t, err)
	return r
}
