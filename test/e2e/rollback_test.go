// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
)

// revisionThatWrites is the number of the newest revision of the first node that a key writes in.
func (c *cluster) revisionThatWrites(t *testing.T, k key) string {
	t.Helper()
	r := c.succeed(t, "history", "-o", "json")
	var h v1alpha1.RevisionHistory
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &h))
	assert.True(t, h.Complete)
	require.Len(t, h.Nodes, len(c.nodes))
	for _, rev := range h.Nodes[0].Revisions {
		if len(rev.WriteKeys) == 1 && rev.WriteKeys[0].Name == k.name {
			return strconv.Itoa(rev.Number)
		}
	}
	require.Fail(t, "no revision writes with the key", "%s/%s", k.provider, k.name)
	return ""
}

// rollBack lets the key before a rotation write again, and rotates on from there.
func (c *cluster) rollBack(t *testing.T) {
	first := c.writeKey(t)
	c.succeed(t, "rotate", "--yes")
	second := c.checkSettled(t)
	to := c.revisionThatWrites(t, first)

	before := c.digests(t)
	r := c.succeed(t, "rollback", "--to", to, "--dry-run")
	assert.Contains(t, r.stdout, "roll back to key "+first.provider+"/"+first.name)
	assert.Equal(t, before, c.digests(t), "no file is changed")
	c.refuse(t, []string{"no node keeps a revision 9999", "nothing was changed", "history"}, "rollback", "--to", "9999", "--yes")

	end := c.readAlways(t)
	c.succeed(t, "rollback", "--to", to, "--yes")
	end()
	assert.Equal(t, first, c.checkSettled(t), "everything in etcd is stored with the earlier key")
	assert.Contains(t, c.nodes[0].keys(t), second, "the newer key stays as a read key")
	c.checkHealthyStatus(t)
	for _, flag := range []string{"--resume", "--abort"} {
		r := c.succeed(t, "rotate", flag, "--yes")
		assert.Contains(t, r.stderr, "no rotation is under way", "a key that was rolled back from is no rotation that has begun")
	}

	c.succeed(t, "rotate", "--yes")
	third := c.checkSettled(t)
	assert.NotContains(t, []string{first.name, second.name}, third.name)
	c.pruneOne(t, second)
}

// pruneOne takes a read key out, which is refused as long as one value needs it.
func (c *cluster) pruneOne(t *testing.T, k key) {
	t.Helper()
	name := k.provider + "/" + k.name
	planted, before := "/registry/secrets/"+seedNamespace+"/planted", c.digests(t)
	c.etcdctl(t, "put", planted, k.prefix()+unopenable)
	r := c.plugin(t, "prune", "--key", name, "--yes")
	c.etcdctl(t, "del", planted)
	c.awaitListed(t) // kube-apiserver can't list Secrets before
	assert.Equal(t, 1, r.code, "%s", r.stderr)
	assert.Contains(t, r.stderr, "key "+name+" is needed: 1 value(s) in etcd are stored with it, of secrets")
	assert.Contains(t, r.stderr, "nothing was changed")
	assert.Equal(t, before, c.digests(t), "no file is changed")
	c.checkNothingLeft(t)

	c.refuse(t, []string{"is the write key"}, "prune", "--key", c.writeKey(t).name, "--yes")
	c.succeed(t, "prune", "--key", name, "--wait", "--yes")
	c.checkSettled(t)
	c.checkHealthyStatus(t)
	for _, n := range c.nodes {
		assert.NotContains(t, n.keys(t), k)
		c.checkHistory(t, n, []key{k})
	}
	c.succeed(t, "prune", "--key", name, "--history", "--yes")
	c.checkSettled(t)
	for _, n := range c.nodes {
		assert.NotContains(t, n.history(t), k.secret)
	}
}
