// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// needles are the forms in which a key could lie somewhere: its bytes, hexadecimal, base64, and base64 of these as a
// part of something longer, which has three forms each.
func needles(t *testing.T, k key) [][]byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(k.secret)
	require.NoError(t, err)
	list := [][]byte{raw, []byte(k.secret), []byte(base64.URLEncoding.EncodeToString(raw)), []byte(hex.EncodeToString(raw))}
	for _, form := range [][]byte{raw, []byte(k.secret)} {
		for offset := range 3 {
			list = append(list, inside(form, offset))
		}
	}
	return list
}

// inside is what base64 makes of data that begins at an offset, without the characters that its neighbours share.
func inside(data []byte, offset int) []byte {
	encoded := base64.RawStdEncoding.EncodeToString(append(make([]byte, offset), data...))
	const bitsPerByte, bitsPerCharacter = 8, 6
	first := (offset*bitsPerByte + bitsPerCharacter - 1) / bitsPerCharacter
	last := (offset + len(data)) * bitsPerByte / bitsPerCharacter
	return []byte(encoded[first:last])
}

var dumpPattern = regexp.MustCompile(`(?m)^\t[0-9a-f]{8}  ((?:[0-9a-f]{2} {1,2}){1,16})`)

// dumped are the bytes that a log of the client libraries shows as hexadecimal dumps, one behind the other.
func dumped(log string) string {
	var all strings.Builder
	for _, line := range dumpPattern.FindAllStringSubmatch(log, -1) {
		part, err := hex.DecodeString(strings.ReplaceAll(line[1], " ", ""))
		if err == nil {
			all.Write(part)
		}
	}
	return all.String()
}

// search looks for a key in some data.
func search(t *testing.T, where string, data []byte, needles [][]byte) {
	t.Helper()
	for i, needle := range needles {
		assert.False(t, bytes.Contains(data, needle), "%s holds the key (form %d)", where, i)
	}
}

// searchFiles looks for a key in all files below a folder. A file that goes meanwhile holds nothing.
func searchFiles(t *testing.T, folder string, needles [][]byte) (bytesRead int64) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, gone error) error {
		if gone == nil && entry.Type().IsRegular() {
			data, _ := os.ReadFile(path)
			bytesRead += int64(len(data))
			search(t, path, data, needles)
		}
		return nil
	})
	require.NoError(t, err)
	return bytesRead
}

// searchObjects looks for a key in all objects of all resources, events among them.
func (c *cluster) searchObjects(t *testing.T, needles [][]byte) (objects int) {
	t.Helper()
	client, err := dynamic.NewForConfig(c.config)
	require.NoError(t, err)
	lists, err := c.client.Discovery().ServerPreferredResources()
	require.NoError(t, err)
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		require.NoError(t, err)
		for _, r := range list.APIResources {
			if !slices.Contains(r.Verbs, "list") {
				continue
			}
			found, err := client.Resource(gv.WithResource(r.Name)).List(t.Context(), metav1.ListOptions{})
			require.NoError(t, err, r.Name)
			data, err := json.Marshal(found)
			require.NoError(t, err)
			objects += len(found.Items)
			search(t, r.Name, data, needles)
		}
	}
	return objects
}

// checkNotLeaked looks for a key everywhere but where it belongs.
func (c *cluster) checkNotLeaked(t *testing.T, k key, agentLogs string, outputs map[string]string) {
	t.Helper()
	forms := needles(t, k)
	assert.Contains(t, string(c.nodes[0].read(t)), k.secret, "the search would find a key where there is one")
	for name, output := range outputs {
		search(t, name, []byte(output), forms)
	}
	snapshot := filepath.Join(t.TempDir(), "etcd.db")
	c.snapshot(t, snapshot)
	t.Logf("searched %d bytes of etcd's snapshot", searchFiles(t, filepath.Dir(snapshot), forms))
	for _, n := range c.nodes {
		t.Logf("searched %d bytes of logs of %s", searchFiles(t, filepath.Join(n.root, "var", "log"), forms), n.name)
	}
	logs := searchFiles(t, agentLogs, forms)
	assert.Positive(t, logs, "logs of agents were kept")
	t.Logf("searched %d bytes of logs of agents", logs)
	t.Logf("searched %d objects", c.searchObjects(t, forms))
}
