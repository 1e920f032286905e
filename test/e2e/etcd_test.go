// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// etcdLimit ends an etcdctl that hangs.
const etcdLimit = time.Minute

// stored reads all values of a resource from etcd itself, by key.
func (c *cluster) stored(t *testing.T, resource string) map[string][]byte {
	t.Helper()
	out, err := c.env.cluster(t.Context(), etcdLimit, "etcdctl", "--dir", c.dir, "--",
		"get", "/registry/"+resource+"/", "--prefix", "-w", "json")
	require.NoError(t, err)
	var answer struct {
		Kvs []struct{ Key, Value []byte }
	}
	require.NoError(t, json.Unmarshal(out, &answer))
	require.NotEmpty(t, answer.Kvs, "%s in etcd", resource)
	values := map[string][]byte{}
	for _, kv := range answer.Kvs {
		values[string(kv.Key)] = kv.Value
	}
	return values
}

// checkStored requires that all Secrets and ConfigMaps in etcd are stored with a key.
func (c *cluster) checkStored(t *testing.T, k key) {
	t.Helper()
	for _, resource := range []string{"secrets", "configmaps"} {
		for name, value := range c.stored(t, resource) {
			assert.True(t, bytes.HasPrefix(value, []byte(k.prefix())), "%s is not stored with key %s/%s but as %q",
				name, k.provider, k.name, value[:min(len(value), len(k.prefix())+2)])
		}
	}
}

// snapshot saves a snapshot of etcd.
func (c *cluster) snapshot(t *testing.T, path string) {
	t.Helper()
	_, err := c.env.cluster(t.Context(), etcdLimit, "etcdctl", "--dir", c.dir, "--", "snapshot", "save", path)
	require.NoError(t, err)
}
