// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// short is long enough for a kube-apiserver that does not start.
	short = 30 * time.Second
	// long is enough for one that starts and ends with words of its own, on a busy machine.
	long = 45 * time.Second
)

// breakdowns are what people and machines do to a kube-apiserver that restarts.
func (c *cluster) breakdowns() []breakdown {
	return []breakdown{c.unwritableManifest(), c.wordyEnd(), c.brokenImage()}
}

// unwritableManifest makes a manifest that can't be replaced.
func (c *cluster) unwritableManifest() breakdown {
	const manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml"
	return breakdown{
		name: "a manifest that can't be replaced is left as it is", limit: short, says: []string{"n1", "kube-apiserver.yaml"},
		unedited: true,
		begin:    func(t *testing.T) { c.exec(t, c.nodes[0], "mount", "--bind", manifest, manifest) },
		end:      func(t *testing.T) { c.exec(t, c.nodes[0], "umount", manifest) },
	}
}

// wordyEnd replaces the configuration by one that a kube-apiserver rejects, and shows keys when it does so
// (k8s.io/apiserver@v0.37.1 pkg/apis/apiserver/validation/validation_encryption.go).
func (c *cluster) wordyEnd() breakdown {
	const complaint = "more than one provider specified"
	var original []byte
	var keys []key
	n := c.nodes[0]
	return breakdown{
		name: "a kube-apiserver that ends is taken back, and its words are told without its keys", limit: long,
		says: []string{"n1", complaint},
		edited: func(t *testing.T) {
			original = n.read(t)
			keys = append(n.keys(t), key{provider: "aescbc", name: "mine", secret: aKey})
			n.put(t, []byte(twoInOne(t, string(original))))
			n.awaitLogOf(t, complaint)
			assert.True(t, n.logs(t, keys[0].secret), "the kube-apiserver itself shows the key")
		},
		end:   func(t *testing.T) { n.put(t, original) },
		hides: func(*testing.T) []key { return keys },
	}
}

// twoInOne puts a second provider into the element of the first.
func twoInOne(t *testing.T, file string) string {
	t.Helper()
	const element = "      - identity: {}\n"
	more := "        aescbc:\n          keys:\n            - name: mine\n              secret: " + aKey + "\n"
	at := strings.Index(file, "      - aesgcm:\n")
	require.GreaterOrEqual(t, at, 0, "the file has a key")
	end := at + strings.Index(file[at:], "secret: ")
	end += strings.Index(file[end:], "\n") + 1
	require.Contains(t, file, element)
	return file[:end] + more + file[end:]
}

// brokenImage gives the kube-apiserver's name to an image that does not hold it, and kills the plugin.
func (c *cluster) brokenImage() breakdown {
	const images = "images.invalid/kubernetes/"
	tag := func(t *testing.T, from, to string) {
		t.Helper()
		c.exec(t, c.nodes[0], "ctr", "images", "tag", "--force", images+from, images+to)
	}
	const kept = "kept:for-later"
	var image string
	return breakdown{
		name: "an image that can't start is taken back without the plugin", limit: short, killed: true,
		begin: func(t *testing.T) {
			image = c.imageOf(t, images)
			tag(t, image, kept)
			tag(t, c.pauseImage(t, images), image)
		},
		end: func(t *testing.T) { tag(t, kept, image) },
	}
}

// imageOf is the name of the image that the kube-apiserver's manifest asks for, without the repository's.
func (c *cluster) imageOf(t *testing.T, repository string) string {
	t.Helper()
	_, after, found := strings.Cut(c.nodes[0].manifest(t), "image: "+repository)
	require.True(t, found)
	name, _, _ := strings.Cut(after, "\n")
	return name
}

// pauseImage is the name of the image of a program that does nothing.
func (c *cluster) pauseImage(t *testing.T, repository string) string {
	t.Helper()
	for name := range strings.Lines(c.exec(t, c.nodes[0], "ctr", "images", "list", "--quiet")) {
		name = strings.TrimPrefix(strings.TrimSpace(name), repository)
		if strings.HasPrefix(name, "pause:") {
			return name
		}
	}
	require.Fail(t, "there is an image of the pause program")
	return ""
}

// logs tells whether a container of the node's kube-apiserver has said something.
func (n *node) logs(t *testing.T, something string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(n.root, "var/log/pods", systemNamespace+"_kube-apiserver-*", "kube-apiserver", "*.log"))
	require.NoError(t, err)
	for _, file := range files {
		data, _ := os.ReadFile(file) // a kubelet removes them with their pod
		if strings.Contains(string(data), something) {
			return true
		}
	}
	return false
}

// checkHidden looks for keys in what the plugin said, in what its agents and guards said, and in what they left.
func (c *cluster) checkHidden(t *testing.T, p *process, keys []key) {
	t.Helper()
	require.NotEmpty(t, keys)
	for _, k := range keys {
		forms := needles(t, k)
		search(t, "standard error", p.stderr.Bytes(), forms)
		search(t, "standard output", p.stdout.Bytes(), forms)
		for _, n := range c.nodes {
			left, err := filepath.Glob(filepath.Join(n.historyFolder(), "*.json"))
			require.NoError(t, err)
			require.NotEmpty(t, left, "the guard's journal")
			for _, file := range left {
				data, err := os.ReadFile(file)
				require.NoError(t, err)
				search(t, file, data, forms)
			}
		}
		t.Logf("searched %d objects", c.searchObjects(t, forms))
	}
}
