// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
)

// rollBackForgotten lets a key write again that no configuration has: it was pruned, and the history of the last node alone keeps
// it. What etcd holds under it, as after the restore of a backup of its time, can be read afterwards through every
// kube-apiserver.
func (c *cluster) rollBackForgotten(t *testing.T) {
	gone := c.writeKey(t)
	require.Equal(t, "aesgcm", gone.provider, "values can be sealed with it here")
	c.succeed(t, "rotate", "--yes")
	newer := c.checkSettled(t)
	c.succeed(t, "prune", "--key", gone.String(), "--wait", "--yes")
	keeper := c.nodes[len(c.nodes)-1]
	for _, n := range c.nodes {
		require.NotContains(t, n.keys(t), gone)
		if n != keeper {
			n.forget(t, gone)
		}
	}

	const name, value = "restored", "as the backup has it"
	path := "/registry/secrets/" + seedNamespace + "/" + name
	c.etcdctl(t, "put", path, gone.seal(t, path, fmt.Sprintf(`{"kind":"Secret","apiVersion":"v1","metadata":{"name":%q,"namespace":%q,"uid":%q},"data":{"value":%q}}`,
		name, seedNamespace, uuid.NewUUID(), base64.StdEncoding.EncodeToString([]byte(value)))))
	for _, n := range c.nodes {
		_, err := n.client.CoreV1().Secrets(seedNamespace).Get(t.Context(), name, metav1.GetOptions{})
		require.Error(t, err, "nothing opens it, through %s", n.name)
	}

	r := c.succeed(t, "rollback", "--to", c.revisionOn(t, keeper, gone), "--yes")
	t.Log(r.stdout, r.stderr)
	for _, n := range c.nodes {
		s, err := n.client.CoreV1().Secrets(seedNamespace).Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err, "through %s", n.name)
		assert.Equal(t, value, string(s.Data["value"]), "through %s", n.name)
		assert.Contains(t, n.keys(t), newer, "the newer key stays as a read key on %s", n.name)
		assert.Contains(t, n.history(t), gone.secret, "%s has the key in its history", n.name)
	}
	c.awaitListed(t)
	assert.Equal(t, gone, c.checkSettled(t))
	c.checkHealthyStatus(t)
	require.NoError(t, c.client.CoreV1().Secrets(seedNamespace).Delete(t.Context(), name, metav1.DeleteOptions{}))
	t.Run("and a rotation works", c.rotateAll)
}

// String names the key as the program does.
func (k key) String() string { return k.provider + "/" + k.name }

// forget removes what holds a key from the node's history, as somebody does who clears it by hand.
func (n *node) forget(t *testing.T, k key) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(n.historyFolder(), "*.yaml"))
	require.NoError(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		if bytes.Contains(data, []byte(k.secret)) {
			require.NoError(t, os.Remove(file))
		}
	}
}

// revisionOn names a revision of a node that a key writes in, as rollback takes it.
func (c *cluster) revisionOn(t *testing.T, n *node, k key) string {
	t.Helper()
	var h v1alpha1.RevisionHistory
	require.NoError(t, json.Unmarshal([]byte(c.succeed(t, "history", "-o", "json").stdout), &h))
	for _, kept := range h.Nodes {
		for _, rev := range kept.Revisions {
			if kept.Name == n.name && len(rev.WriteKeys) == 1 && rev.WriteKeys[0].Name == k.name {
				return fmt.Sprintf("%s/%d", n.name, rev.Number)
			}
		}
	}
	require.Fail(t, "a revision writes with the key", "%s on %s", k, n.name)
	return ""
}
