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
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// refuse runs the plugin and requires that it fails, says certain things, changes no file and leaves nothing behind.
func (c *cluster) refuse(t *testing.T, says []string, args ...string) result {
	t.Helper()
	before := c.digests(t)
	r := c.plugin(t, args...)
	t.Log(r.failure())
	assert.Equal(t, 1, r.code)
	for _, part := range says {
		assert.Contains(t, r.stderr, part)
	}
	assert.Equal(t, before, c.digests(t), "no file is changed")
	c.checkNothingLeft(t)
	return r
}

// refuseEdited puts an edited file on a node, requires that a rotation is refused, and puts the file back.
func (c *cluster) refuseEdited(t *testing.T, n *node, edit func(file string) string, says ...string) {
	t.Helper()
	original := n.read(t)
	edited := edit(string(original))
	require.NotEqual(t, string(original), edited)
	n.put(t, []byte(edited))
	c.refuse(t, says, "rotate", "--yes")
	require.Equal(t, digest([]byte(edited)), digest(n.read(t)), "the file is left as it was found")
	n.put(t, original)
	c.awaitLoaded(t)
}

// aKey is a key that anybody may know.
const aKey = "bm90IGEgc2VjcmV0LCBidXQgMzIgYnl0ZXMgbG9uZy4="

// unusableFiles are what people may have made of a file, and what the refusal has to say of it.
func unusableFiles() map[string]struct {
	edit func(string) string
	says string
} {
	insert := func(before, text string) func(string) string {
		return func(file string) string { return strings.Replace(file, before, text+before, 1) }
	}
	type edit = func(string) string
	type unusable = struct {
		edit edit
		says string
	}
	return map[string]unusable{
		"a field that does not exist":      {insert("resources:\n", "comment: mine\n"), "line 3: configuration has an unknown field"},
		"a second YAML document":           {func(file string) string { return file + "---\nkind: EncryptionConfiguration\n" }, "more than one YAML document"},
		"a KMS provider":                   {insert("      - identity: {}", kmsProvider), "KMS"},
		"two keys of one name":             {twice, "twice"},
		"something that is no YAML at all": {func(string) string { return "{[" }, "not one YAML document"},
	}
}

const kmsProvider = `      - kms:
          apiVersion: v2
          name: vault
          endpoint: unix:///run/vault.sock
          timeout: 1s
`

// twice adds another key with the name of the first key, behind it.
func twice(file string) string {
	const begins, ends = "            - name: ", "\n              secret: "
	at := strings.Index(file, begins)
	if at < 0 {
		return file
	}
	name, _, _ := strings.Cut(file[at+len(begins):], "\n")
	end := at + strings.Index(file[at:], ends) + len(ends)
	end += strings.Index(file[end:], "\n") + 1
	return file[:end] + begins + name + ends + aKey + "\n" + file[end:]
}

// refuseUnusableFiles tries each file that must not be touched.
func (c *cluster) refuseUnusableFiles(t *testing.T) {
	for name, unusable := range unusableFiles() {
		t.Run(name, func(t *testing.T) {
			c.refuseEdited(t, c.nodes[0], unusable.edit, "node "+c.nodes[0].name, unusable.says)
		})
	}
}

// twoKeysMore adds two read keys: no single step of a rotation leads there.
func twoKeysMore(file string) string {
	const identity = "      - identity: {}"
	more := "      - aescbc:\n          keys:\n            - name: mine\n              secret: " + aKey + "\n"
	return strings.Replace(file, identity, more+strings.Replace(strings.Replace(more, "mine", "yours", 1), "aescbc", "secretbox", 1)+identity, 1)
}

// refuseWithoutPods tries a rotation where no pod can be made.
func (c *cluster) refuseWithoutPods(t *testing.T) {
	c.withoutRoomFor(t, corev1.ResourcePods, func() {
		c.refuse(t, []string{"node " + c.nodes[0].name, "within 5s", "exceeded quota"}, "rotate", "--yes", "--job-timeout", "5s")
	})
}

// withoutRoomFor does something while a quota of the agents' namespace leaves no room for something.
func (c *cluster) withoutRoomFor(t *testing.T, what corev1.ResourceName, do func()) {
	t.Helper()
	quotas := c.client.CoreV1().ResourceQuotas(systemNamespace)
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "e2e-no-room"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{what: resource.MustParse("0")}},
	}
	_, err := quotas.Create(t.Context(), quota, metav1.CreateOptions{})
	require.NoError(t, err)
	defer func() { assert.NoError(t, quotas.Delete(t.Context(), quota.Name, metav1.DeleteOptions{})) }()
	const often = 50 * time.Millisecond
	err = wait.PollUntilContextTimeout(t.Context(), often, waitLimit, true, func(ctx context.Context) (bool, error) {
		q, err := quotas.Get(ctx, quota.Name, metav1.GetOptions{})
		return err == nil && len(q.Status.Hard) > 0, nil
	})
	require.NoError(t, err)
	do()
}

// refuseSecond tries a rotation while another one is under way.
func (c *cluster) refuseSecond(t *testing.T) {
	first := c.begin(t, "rotate", "--yes", "--max-rate", "5")
	_, ok := first.until(func(e event) bool { return e.starts("migrate") })
	require.True(t, ok, "%s", &first.stderr)
	before := c.digests(t)
	r := c.plugin(t, "rotate", "--yes")
	t.Log(r.failure())
	assert.Equal(t, 1, r.code)
	assert.Contains(t, r.stderr, "another change is under way")
	assert.Contains(t, r.stderr, "holds the lock since")
	assert.Equal(t, before, c.digests(t), "no file is changed")
	require.Zero(t, first.wait(t), "the first one is not disturbed: %s", &first.stderr)
	c.checkSettled(t)
}

// refuseWithoutReload tries a rotation on a kube-apiserver that does not reload its file, and has it reload again.
func (c *cluster) refuseWithoutReload(t *testing.T) {
	c.setFlags(t, c.nodes[0], "--encryption-provider-config-automatic-reload=false")
	c.refuse(t, []string{"n1", "does not reload its configuration by itself", "kubectl encryption enable"}, "rotate", "--yes")
	assert.False(t, c.status(t).Healthy)
	c.succeed(t, "enable", "--yes")
	assert.True(t, c.status(t).Healthy)
}

// carryOnWithFlags has a kube-apiserver lose a flag in the middle of a rotation. What gives it back carries the rotation on.
func (c *cluster) carryOnWithFlags(t *testing.T) {
	before := c.writeKey(t)
	c.killAt(t, "migrate", "rotate", "--yes")
	c.setFlags(t, c.nodes[0], "--encryption-provider-config-automatic-reload=false")
	refused := c.plugin(t, "rotate", "--resume", "--yes")
	assert.Equal(t, 1, refused.code)
	assert.Contains(t, refused.stderr, "kubectl encryption enable")
	r := c.succeed(t, "enable", "--yes")
	assert.Contains(t, r.stderr, "is carried on by this, since flags are missing")
	assert.NotEqual(t, before, c.checkSettled(t))
	c.checkHealthyStatus(t)
}
