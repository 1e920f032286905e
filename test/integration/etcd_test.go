// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// etcdctl runs etcdctl and returns what it prints.
func (cp *controlPlane) etcdctl(ctx context.Context, args ...string) ([]byte, error) {
	return etcdctl(ctx, cp.Etcd.Endpoint, args...)
}

func etcdctl(ctx context.Context, endpoint string, args ...string) ([]byte, error) {
	args = append([]string{"--endpoints=" + endpoint, "--write-out=json", "--command-timeout=30s"}, args...)
	cmd := exec.CommandContext(ctx, "etcdctl", args...)
	cmd.Env = append(cmd.Environ(), "ETCDCTL_API=3")
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("etcdctl %v: %w: %s", args, err, problems.String())
	}
	return out.Bytes(), nil
}

// etcdAnswer is what etcdctl prints for a read; keys and values are in base64, which is how JSON holds bytes.
type etcdAnswer struct {
	Header struct {
		Revision int64 `json:"revision"`
	} `json:"header"`
	KVs []struct {
		Key   []byte `json:"key"`
		Value []byte `json:"value"`
	} `json:"kvs"`
}

// stored is what etcd holds of a resource: values by key.
func (cp *controlPlane) stored(t *testing.T, r migrate.Resource) map[string]string {
	t.Helper()
	layout, err := etcdkey.NewLayout(etcdkey.DefaultPrefix, nil, nil)
	require.NoError(t, err)
	resource, err := etcdkey.ParseResource(r.String())
	require.NoError(t, err)
	folder := layout.Prefix(resource)
	out, err := cp.etcdctl(t.Context(), "get", "--prefix", folder)
	require.NoError(t, err)
	var answer etcdAnswer
	require.NoError(t, json.Unmarshal(out, &answer))
	values := map[string]string{}
	for _, kv := range answer.KVs {
		values[strings.TrimPrefix(string(kv.Key), folder)] = string(kv.Value)
	}
	return values
}

// notStoredWith are the objects of a resource whose stored values do not begin as those of a key do.
func (cp *controlPlane) notStoredWith(t *testing.T, k encryptionKey, r migrate.Resource) []string {
	t.Helper()
	var others []string
	for name, value := range cp.stored(t, r) {
		if !strings.HasPrefix(value, k.prefix()) {
			others = append(others, name)
		}
	}
	return others
}

func (cp *controlPlane) requireAllStoredWith(t *testing.T, k encryptionKey, r migrate.Resource) {
	t.Helper()
	require.NotEmpty(t, cp.stored(t, r), "etcd holds objects of %s", r)
	assert.Empty(t, cp.notStoredWith(t, k, r), "stored otherwise than with key %s", k.name)
}

// put stores a value as it is, past every kube-apiserver.
func (cp *controlPlane) put(t *testing.T, key, value string) {
	t.Helper()
	_, err := cp.etcdctl(t.Context(), "put", "--", key, value)
	require.NoError(t, err)
}

func (cp *controlPlane) drop(t *testing.T, key string, flags ...string) {
	t.Helper()
	_, err := cp.etcdctl(context.WithoutCancel(t.Context()), append([]string{"del", key}, flags...)...)
	require.NoError(t, err)
}

// compactedKey is where kube-apiserver writes down the revision to which it compacted (apiserver@v0.37.2
// pkg/storage/etcd3/compact.go, compactRevKey). All of them watch it, since their caches must forget as well.
const compactedKey = "compact_rev_key"

// compact forgets all revisions but the present one, as kube-apiserver does every five minutes for those before.
func (cp *controlPlane) compact(ctx context.Context) error {
	out, err := cp.etcdctl(ctx, "get", "--prefix", "--keys-only", "--limit=1", "/registry/")
	if err != nil {
		return err
	}
	var answer etcdAnswer
	if err := json.Unmarshal(out, &answer); err != nil {
		return err
	}
	revision := strconv.FormatInt(answer.Header.Revision, 10)
	if _, err := cp.etcdctl(ctx, "put", compactedKey, revision); err != nil {
		return err
	}
	_, err = cp.etcdctl(ctx, "compact", revision)
	return err
}
