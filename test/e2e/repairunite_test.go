// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// repairForeign has three kube-apiservers that each write with another key, two of which the others can't read: somebody has rotated by
// hand on two nodes. repair gives all keys to all before one writes everywhere. What all could read can be read all the time, and in
// the end everything through each of them.
func (c *cluster) repairForeign(t *testing.T) {
	shared := c.writeKey(t)
	end := c.readSeeds(t)
	hands := map[string]key{}
	for i, n := range c.nodes[1:] {
		k := key{provider: shared.provider, name: fmt.Sprint(9001 + i), secret: randomSecret(t)}
		n.put(t, []byte(inFront(t, string(n.read(t)), k)))
		hands[n.name] = k
	}
	c.awaitLoaded(t)
	for _, n := range c.nodes {
		_, err := n.client.CoreV1().Secrets(seedNamespace).Create(t.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "by-" + n.name}, StringData: map[string]string{"value": n.name},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	_, err := c.nodes[0].client.CoreV1().Secrets(seedNamespace).Get(t.Context(), "by-"+c.nodes[1].name, metav1.GetOptions{})
	require.Error(t, err, "%s can't read what %s writes", c.nodes[0].name, c.nodes[1].name)

	p := c.begin(t, "repair", "--yes")
	code := p.wait(t)
	t.Log(p.stdout.String(), p.stderr.String())
	require.Zero(t, code)
	var stages []string
	for _, e := range p.seen {
		if e.Event == "step-started" {
			stages = append(stages, e.Stage)
		}
	}
	assert.Equal(t, []string{"unite", "await", "agree", "await"}, stages)
	end()
	c.checkLoaded(t)
	newest := hands[c.nodes[2].name]
	assert.Equal(t, newest, c.writeKey(t), "the newest key that a kube-apiserver has written with writes")
	for _, k := range append([]key{shared}, hands[c.nodes[1].name]) {
		assert.Contains(t, c.nodes[0].keys(t), k, "no key is lost")
	}
	c.awaitListed(t)
	for _, n := range c.nodes {
		for _, by := range c.nodes {
			s, err := n.client.CoreV1().Secrets(seedNamespace).Get(t.Context(), "by-"+by.name, metav1.GetOptions{})
			require.NoError(t, err, "what %s has written, through %s", by.name, n.name)
			assert.Equal(t, by.name, string(s.Data["value"]))
		}
	}
	c.succeed(t, "migrate", "--resources", "secrets,configmaps")
	assert.Equal(t, newest, c.checkSettled(t))
	t.Run("and a rotation works", c.rotateAll)
}

// inFront puts a key in front of the first one of a file.
func inFront(t *testing.T, file string, k key) string {
	t.Helper()
	const list = "          keys:\n"
	require.Contains(t, file, list)
	return strings.Replace(file, list, list+"            - name: "+quoted(k.name)+"\n              secret: "+k.secret+"\n", 1)
}
