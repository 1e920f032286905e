// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
)

const (
	// canary is in every value that the tests put into etcd themselves.
	canary = "canary-that-must-never-sing"
	// found is the exit code of a verification that found something.
	found = 2
)

// verify holds what verify tells against what etcdctl reads, in a cluster that is settled, and leaves it so.
func (c *cluster) verify(t *testing.T) {
	t.Run("everything is current", c.verifySettled)
	t.Run("what somebody put into etcd is found", c.verifyPlanted)
	t.Run("a rotation that was killed before its migration", c.verifyInRotation)
	t.Run("what is left of old values is found, and cleared", c.verifyResidue)
	t.Run("it tidies up when it is interrupted", c.interruptVerification)
	c.checkSettled(t)
}

func (c *cluster) verifySettled(t *testing.T) {
	k := c.writeKey(t)
	logs, endLogs := c.keepAgentTraces(t)
	for _, flags := range [][]string{nil, {"--decrypt"}, {"--resources", "secrets,configmaps"}} {
		v, r := c.verified(t, 0, flags...)
		assert.Equal(t, v1alpha1.Clean, v.Outcome)
		assert.Len(t, v.Resources, 2)
		c.checkCounted(t, v)
		assert.Equal(t, c.nodes[0].name, v.Source.Node)
		assert.Equal(t, digest(c.nodes[0].read(t)), v.Digest)
		checkSilent(t, r, k)
		c.checkNothingLeft(t)
	}
	v, _ := c.verified(t, 0, "--resources", "namespaces,events")
	assert.Equal(t, v1alpha1.Clean, v.Outcome, "what is not encrypted is to be in plaintext")
	for _, resource := range v.Resources {
		assert.Equal(t, plaintext, resource.WriteKey.Provider)
	}
	endLogs()
	assert.Positive(t, searchFiles(t, logs, append(needles(t, k), []byte(seedValue(seedName(0))))), "logs of agents were kept")
	checkConfined(t, logs)
	human := c.succeed(t, "verify")
	first, _, _ := strings.Cut(human.stdout, "\n")
	assert.Contains(t, first, k.provider+"/"+k.name, "the verdict comes first")
	c.checkNothingLeft(t)
}

// verifyPlaintext looks at a cluster that has never been encrypted.
func (c *cluster) verifyPlaintext(t *testing.T) {
	v, _ := c.verified(t, found)
	assert.Equal(t, v1alpha1.Found, v.Outcome, "plaintext is no proof of anything")
	require.Len(t, v.Resources, 1)
	assert.Equal(t, "secrets", v.Resources[0].Name)
	c.checkCounted(t, v)
	c.checkNothingLeft(t)
	for _, n := range c.nodes {
		assert.NoDirExists(t, n.historyFolder(), "%s is as it was", n.name)
	}
}

// verified runs verify, which must end with the code, and gives its report.
func (c *cluster) verified(t *testing.T, code int, flags ...string) (v v1alpha1.VerificationReport, r result) {
	t.Helper()
	r = c.plugin(t, append([]string{"verify", "-o", "json"}, flags...)...)
	require.Equal(t, code, r.code, "%s\n%s", r.stdout, r.stderr)
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &v))
	return v, r
}

// group counts the values of a resource that begin with the prefix of an encrypted value, or the others if it is empty.
func (c *cluster) group(t *testing.T, resource, prefix string) (objects int64) {
	t.Helper()
	for _, value := range c.stored(t, inEtcd(resource)) {
		switch {
		case prefix == "" && !bytes.HasPrefix(value, []byte(encryptedPrefix)):
			objects++
		case prefix != "" && bytes.HasPrefix(value, []byte(prefix)):
			objects++
		}
	}
	return objects
}

// checkCounted holds each number of a report against etcdctl's. Nobody writes Secrets or ConfigMaps meanwhile.
func (c *cluster) checkCounted(t *testing.T, v v1alpha1.VerificationReport) {
	t.Helper()
	for _, resource := range v.Resources {
		assert.Len(t, c.stored(t, inEtcd(resource.Name)), int(resource.Objects), resource.Name)
		assert.True(t, resource.Complete)
		var sum int64
		for _, g := range resource.Groups {
			prefix := ""
			if g.Provider != plaintext {
				prefix = key{provider: g.Provider, name: g.Key}.prefix()
			}
			assert.Equal(t, c.group(t, resource.Name, prefix), g.Objects, "%s of %s", prefix, resource.Name)
			sum += g.Objects
		}
		assert.Equal(t, resource.Objects, sum)
	}
}

// checkSilent requires that nothing of a value or of a key is printed.
func checkSilent(t *testing.T, r result, k key) {
	t.Helper()
	output := []byte(r.stdout + r.stderr)
	search(t, "the output", output, needles(t, k))
	for _, text := range []string{seedValue(seedName(0)), canary, base64.StdEncoding.EncodeToString([]byte(canary))} {
		assert.NotContains(t, string(output), text)
	}
}

// verifyPlanted puts values into etcd that kube-apiserver has not written.
func (c *cluster) verifyPlanted(t *testing.T) {
	k := c.writeKey(t)
	plain := `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"planted","namespace":"` + seedNamespace + `"},"data":{"v":"` +
		base64.StdEncoding.EncodeToString([]byte(canary)) + `"}}`
	planted := map[string]string{
		"planted":       plain,
		"\x1b[31mred":   plain,
		"forgotten":     "k8s:enc:aesgcm:v1:999:" + canary + canary,
		"not-this-key":  k.prefix() + canary + canary,
		"says-nothing":  canary,
		"cut-off":       "k8s:enc:aesgcm",
		"from-tomorrow": "k8s:enc:quantum:v1:1:" + canary,
	}
	for name, value := range planted {
		c.etcdctl(t, "put", "/registry/secrets/"+seedNamespace+"/"+name, value)
	}
	t.Cleanup(func() { // kube-apiserver can't list Secrets before
		for name := range planted {
			c.etcdctl(t, "del", "/registry/secrets/"+seedNamespace+"/"+name)
		}
		c.awaitListed(t)
	})
	want := map[string]string{
		"planted": v1alpha1.StoredPlaintext, `\x1b[31mred`: v1alpha1.StoredPlaintext, "forgotten": v1alpha1.StoredMissing,
		"says-nothing": v1alpha1.StoredUndecodable, "cut-off": v1alpha1.StoredUndecodable, "from-tomorrow": v1alpha1.StoredUnknown,
	}
	v, r := c.verified(t, found, "--resources", "secrets")
	checkSilent(t, r, k)
	assert.Equal(t, want, stragglers(v))
	assert.Contains(t, v.Verdict, "aesgcm/999, which no node has")
	for _, n := range v.Keys {
		require.NotNil(t, n.Held)
		assert.Equal(t, n.Name != "999", *n.Held, n.Name)
	}

	want["not-this-key"] = v1alpha1.StoredUndecryptable
	v, r = c.verified(t, found, "--resources", "secrets", "--decrypt")
	checkSilent(t, r, k)
	assert.Equal(t, want, stragglers(v))

	human := c.plugin(t, "verify", "--decrypt", "--all")
	assert.Equal(t, found, human.code)
	checkSilent(t, human, k)
	assert.NotContains(t, human.stdout+human.stderr, "\x1b")
}

// stragglers are the names in a report by the state that they are told with.
func stragglers(v v1alpha1.VerificationReport) map[string]string {
	names := map[string]string{}
	for _, resource := range v.Resources {
		for _, g := range resource.Groups {
			for _, name := range g.Names {
				names[strings.TrimPrefix(name, seedNamespace+"/")] = g.State
			}
		}
	}
	return names
}

func (c *cluster) etcdctl(t *testing.T, args ...string) {
	t.Helper()
	_, err := c.env.cluster(context.WithoutCancel(t.Context()), etcdLimit, append([]string{"etcdctl", "--dir", c.dir, "--"}, args...)...)
	require.NoError(t, err)
}

// awaitListed waits until every kube-apiserver has recovered from what it could not read.
func (c *cluster) awaitListed(t *testing.T) {
	t.Helper()
	err := wait.PollUntilContextTimeout(context.WithoutCancel(t.Context()), time.Second, waitLimit, true, func(ctx context.Context) (bool, error) {
		for _, n := range c.nodes {
			if _, err := n.client.CoreV1().Secrets("").List(ctx, metav1.ListOptions{}); err != nil {
				return false, nil //nolint:nilerr // asked again until the time is over
			}
		}
		return true, nil
	})
	require.NoError(t, err)
}

// verifyInRotation looks at etcd when a new key writes and the old objects are not rewritten yet.
func (c *cluster) verifyInRotation(t *testing.T) {
	before := c.writeKey(t)
	p := c.begin(t, "rotate", "--yes", "--max-rate", "5")
	_, ok := p.until(func(e event) bool { return e.starts("migrate") })
	require.True(t, ok, "%s", &p.stderr)
	p.kill(t)
	k := c.writeKey(t)
	require.NotEqual(t, before, k)
	require.NoError(t, wait.PollUntilContextTimeout(t.Context(), time.Second, waitLimit, true, func(ctx context.Context) (bool, error) {
		pods, err := c.client.CoreV1().Pods(systemNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + ourName})
		return err == nil && len(pods.Items) == 0, nil
	}), "what a killed rotation left ends by itself")

	r := c.plugin(t, "verify", "-o", "json", "--decrypt")
	var v v1alpha1.VerificationReport
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &v), "%s", r.stderr)
	assert.Equal(t, found, r.code, "%s", r.stderr)
	checkSilent(t, r, k)
	checkSilent(t, r, before)
	c.checkCounted(t, v)
	stale := c.group(t, "secrets", before.prefix()) + c.group(t, "configmaps", before.prefix())
	require.Positive(t, stale)
	require.Len(t, v.Findings, 1)
	assert.Equal(t, v1alpha1.StoredStale, v.Findings[0].State)
	assert.Equal(t, before.name, v.Findings[0].Key.Name)
	assert.Equal(t, stale, v.Findings[0].Objects)

	c.succeed(t, "rotate", "--resume", "--yes")
	v, _ = c.verified(t, 0)
	c.checkCounted(t, v)
	assert.Contains(t, v.Verdict, k.provider+"/"+k.name)
	assert.Empty(t, v.UnusedKeys, "a resource that was not counted may have lost its rule and keep values of the key")
	v, _ = c.verified(t, 0, "--resources", "*.*")
	assert.Contains(t, v.UnusedKeys, v1alpha1.KeyRef{Provider: before.provider, Name: before.name, Fingerprint: fingerprint(v, before)},
		"the key before is used by nothing")
}

// fingerprint is that of an unused key, which the tests have no other way to tell.
func fingerprint(v v1alpha1.VerificationReport, k key) string {
	for _, u := range v.UnusedKeys {
		if u.Provider == k.provider && u.Name == k.name {
			return u.Fingerprint
		}
	}
	return "none"
}

// verifyResidue counts what a rotation leaves on the disks against the bytes of the files themselves, clears what can be cleared, and
// finds nothing more in the databases, there as well as in the report.
func (c *cluster) verifyResidue(t *testing.T) {
	before := c.writeKey(t)
	c.succeed(t, "rotate", "--yes")
	k := c.writeKey(t)
	require.NotEqual(t, before, k)

	v, r := c.verified(t, found, "--residue")
	checkSilent(t, r, k)
	checkSilent(t, r, before)
	assert.Equal(t, v1alpha1.Clean, v.Outcome, "what is stored now is as it should be")
	require.NotNil(t, v.Residue)
	assert.Equal(t, v1alpha1.Found, v.Residue.Outcome)
	require.Len(t, v.Residue.Members, len(c.nodes))
	for i, m := range v.Residue.Members {
		assert.Empty(t, m.Unknown)
		assert.Equal(t, c.nodes[i].name, m.Node)
		assert.Positive(t, copies(m, before, false), "the database on %s", m.Node)
		assert.Equal(t, c.nodes[i].inFile(t, "wal/*", before), copies(m, before, true), "the log on %s", m.Node)
		assert.Positive(t, copies(m, before, true))
	}
	c.checkNothingLeft(t)

	c.etcdctl(t, "compact", "--physical", strconv.FormatInt(v.Source.Revision, 10))
	until(t, func() bool {
		c.etcdctl(t, "defrag", "--cluster")
		return !slices.ContainsFunc(c.nodes, func(n *node) bool { return n.inFile(t, "snap/db", before) > 0 })
	}, "members compact in their own time")
	v, _ = c.verified(t, found, "--residue")
	for i, m := range v.Residue.Members {
		assert.Zero(t, copies(m, before, false), "the database on %s", m.Node)
		assert.Zero(t, c.nodes[i].inFile(t, "snap/db", before))
		assert.Positive(t, copies(m, before, true), "the log is not cleared by anything")
	}
	human := c.plugin(t, "verify", "--residue")
	assert.Equal(t, found, human.code)
	assert.Contains(t, human.stdout, "write-ahead log")
	c.checkNothingLeft(t)
}

// copies are how many copies of values under a key a report tells of a member: in its log, or in its database.
func copies(m v1alpha1.MemberResidue, k key, log bool) (n int64) {
	for _, c := range m.Copies {
		if c.Provider == k.provider && c.Key == k.name && (c.Place == v1alpha1.ResidueLog) == log {
			n += c.Copies
		}
	}
	return n
}

// inFile counts where a value under a key begins in the files of a node's etcd.
func (n *node) inFile(t *testing.T, pattern string, k key) (count int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(n.root, "var/lib/etcd/member", pattern))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		data, err := os.ReadFile(f)
		require.NoError(t, err)
		count += int64(bytes.Count(data, []byte(k.prefix())))
	}
	return count
}

func (c *cluster) interruptVerification(t *testing.T) {
	p := c.begin(t, "verify", "--max-rate", "1")
	require.NoError(t, wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, waitLimit, true, func(ctx context.Context) (bool, error) {
		pods, err := c.client.CoreV1().Pods(systemNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + ourName})
		return err == nil && len(pods.Items) == 1 && pods.Items[0].Status.Phase == corev1.PodRunning, nil
	}))
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	assert.Equal(t, 130, p.wait(t), "%s", &p.stderr)
	c.checkNothingLeft(t)
}
