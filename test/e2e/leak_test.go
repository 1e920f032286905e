// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
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

// part is how many bytes of a key are not to lie anywhere, in any form.
const part = 12

// needles are the forms in which some bytes of a key could lie somewhere: as they are, hexadecimal, base64, and base64 of
// that. What is a part of something longer has three forms in base64.
func needles(t *testing.T, keys ...key) (list [][]byte) {
	t.Helper()
	for _, k := range keys {
		raw, err := base64.StdEncoding.DecodeString(k.secret)
		require.NoError(t, err)
		list = append(list, windows(raw, part)...)
		text := hex.EncodeToString(raw)
		list = append(list, windows([]byte(text), hex.EncodedLen(part))...)
		list = append(list, windows([]byte(strings.ToUpper(text)), hex.EncodedLen(part))...)
		for _, form := range [][]byte{raw, []byte(k.secret)} {
			for offset := range 3 {
				encoded := inside(form, offset)
				list = append(list, windows(encoded, base64.StdEncoding.EncodedLen(part))...)
				list = append(list, windows([]byte(strings.NewReplacer("+", "-", "/", "_").Replace(string(encoded))), base64.StdEncoding.EncodedLen(part))...)
			}
		}
	}
	return list
}

// windows are all parts of a length.
func windows(data []byte, length int) (list [][]byte) {
	for at := 0; at+length <= len(data); at++ {
		list = append(list, data[at:at+length])
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
	at, length := find(data, needles)
	assert.Zero(t, length, "%s holds what is to be nowhere, or a part of it: %d bytes at %d", where, length, at)
}

// find goes through the data once, however many needles there are. length is 0 if there is none.
func find(data []byte, needles [][]byte) (at, length int) {
	var begins [1 << 16]bool // by the first two bytes, which rules most places out
	wanted, lengths := map[string]bool{}, map[int]bool{}
	for _, needle := range needles {
		begins[int(needle[0])<<8|int(needle[1])] = true
		wanted[string(needle)], lengths[len(needle)] = true, true
	}
	for at := range max(0, len(data)-1) {
		if !begins[int(data[at])<<8|int(data[at+1])] {
			continue
		}
		for length := range lengths {
			if at+length <= len(data) && wanted[string(data[at:at+length])] {
				return at, length
			}
		}
	}
	return 0, 0
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

// checkSearch requires that the search finds keys where they are, whole or a part, in each form.
func checkSearch(t *testing.T, forms [][]byte, file []byte) {
	t.Helper()
	for _, data := range [][]byte{
		file, []byte(hex.EncodeToString(forms[0])), []byte(base64.StdEncoding.EncodeToString(file)), append([]byte("ab"), forms[1]...),
	} {
		_, length := find(data, forms)
		require.Positive(t, length, "the search would find a key where there is one")
	}
}

// succeedWithoutTrace runs the plugin, which tells all that it can, and requires that no key is anywhere but where it belongs, and
// that agents were as SECURITY.md says.
func (c *cluster) succeedWithoutTrace(t *testing.T, args ...string) result {
	t.Helper()
	traces, end := c.keepAgentTraces(t)
	r := c.succeed(t, append(args, "-v=10")...)
	end()
	bodies := dumped(r.stderr)
	require.Contains(t, bodies, ourName+"-agent-", "the log of the client libraries shows what is sent")
	status := c.succeed(t, "status", "-v=10", "-o", "json")
	var keys []key
	for _, n := range c.nodes {
		for _, k := range n.keys(t) {
			if !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	c.checkNotLeaked(t, keys, traces, map[string]string{
		"standard output": r.stdout, "standard error": r.stderr, "what standard error shows as dumps": bodies,
		"status": status.stdout + status.stderr,
	})
	checkConfined(t, traces)
	return r
}

// checkNotLeaked looks for keys everywhere but where they belong.
func (c *cluster) checkNotLeaked(t *testing.T, keys []key, agentTraces string, outputs map[string]string) {
	t.Helper()
	forms := needles(t, keys...)
	checkSearch(t, forms, c.nodes[0].read(t))
	for name, output := range outputs {
		search(t, name, []byte(output), forms)
	}
	snapshot := filepath.Join(t.TempDir(), "etcd.db")
	c.snapshot(t, snapshot)
	t.Logf("searched %d bytes of etcd's snapshot", searchFiles(t, filepath.Dir(snapshot), forms))
	t.Logf("searched %d bytes that the plugin has left on the operator's disk", searchFiles(t, c.operatorDir(), forms))
	for _, n := range c.nodes {
		t.Logf("searched %d bytes of logs of %s", searchFiles(t, filepath.Join(n.root, "var", "log"), forms), n.name)
	}
	traces := searchFiles(t, agentTraces, forms)
	assert.Positive(t, traces, "traces of agents were kept")
	t.Logf("searched %d bytes of logs, containers and processes of agents", traces)
	t.Logf("searched %d objects", c.searchObjects(t, forms))
}
