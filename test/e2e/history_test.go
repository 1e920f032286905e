// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
)

// verifyForgotten looks at a value whose key has left every node's file, and is in the history of a single one: not of the node that
// etcd is read on. What somebody can still read is not to be deleted.
func (c *cluster) verifyForgotten(t *testing.T) {
	k := key{provider: "aesgcm", name: "forgotten", secret: randomSecret(t)}
	keeper := c.nodes[len(c.nodes)-1]
	keeper.remember(t, k)
	const name = "under-a-forgotten-key"
	path := "/registry/secrets/" + seedNamespace + "/" + name
	c.etcdctl(t, "put", path, k.seal(t, path, `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"`+name+`","namespace":"`+seedNamespace+`"}}`))
	t.Cleanup(func() { // kube-apiserver can't list Secrets before
		c.etcdctl(t, "del", path)
		c.awaitListed(t)
	})
	v, r := c.verified(t, found, "--resources", "secrets", "--decrypt")
	assert.Equal(t, c.nodes[0].name, v.Source.Node)
	assert.Equal(t, map[string]string{name: v1alpha1.StoredMissing}, stragglers(v))
	assert.Contains(t, v.Verdict, "aesgcm/forgotten")
	require.Len(t, v.Findings, 1)
	assert.True(t, v.Findings[0].Held, "%s has it in its history", keeper.name)
	for _, needed := range v.Keys {
		require.NotNil(t, needed.Held, needed.Name)
		assert.True(t, *needed.Held, needed.Name)
	}
	hints := strings.Join(v.Hints, "\n")
	assert.Contains(t, hints, "aesgcm/forgotten", "it is told which key is needed")
	assert.Contains(t, hints, strings.TrimPrefix(keeper.historyFolder(), keeper.root), "and where to look for it")
	assert.NotContains(t, hints, "delete", "nobody is to delete what a node's history can open")
	assert.NotContains(t, hints, "ignoreStoreReadError")
	checkSilent(t, r, k)
}

// remember puts a configuration with a key into the node's history, as the oldest of all.
func (n *node) remember(t *testing.T, k key) {
	t.Helper()
	require.NoError(t, os.MkdirAll(n.historyFolder(), 0o700)) // where nothing was changed yet
	file := filepath.Join(n.historyFolder(), "000000-20200101T000000Z-e2e.yaml")
	content := fmt.Sprintf("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n"+
		"  providers:\n  - %s:\n      keys:\n      - name: %s\n        secret: %s\n  - identity: {}\n", k.provider, k.name, k.secret)
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	t.Cleanup(func() { require.NoError(t, os.Remove(file)) })
}

func randomSecret(t *testing.T) string {
	t.Helper()
	secret := make([]byte, 32)
	_, err := rand.Read(secret)
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(secret)
}

// seal is a value as kube-apiserver stores it under a key of aesgcm (k8s.io/apiserver@v0.37.2
// pkg/storage/value/encrypt/aes/aes.go).
func (k key) seal(t *testing.T, path, object string) string {
	t.Helper()
	secret, err := base64.StdEncoding.DecodeString(k.secret)
	require.NoError(t, err)
	block, err := aes.NewCipher(secret)
	require.NoError(t, err)
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	require.NoError(t, err)
	for {
		sealed := k.prefix() + string(gcm.Seal(nil, nil, []byte(object), []byte(path)))
		if !strings.Contains(sealed, "\x00") { // no argument of a program can hold that
			return sealed
		}
	}
}
