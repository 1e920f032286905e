// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"
)

// The flags of the kube-apiserver that keeps what it stores elsewhere. It makes the prefix a clean path itself.
const (
	elsewherePrefix = "other/place/"
	elsewhereFolder = "/other/place/"
)

var elsewhereOverrides = []string{"/configmaps", "/events", "apps/*", group + "/widgets"}

// keptElsewhere is where a kube-apiserver keeps resources. The folders are written down here, not asked of the code under test.
var keptElsewhere = []struct {
	resource, folder string
	// keys is how many ways its values are stored.
	keys int
	// second is that it is in the second etcd.
	second bool
}{
	{resource: "secrets", folder: "secrets", keys: 2},
	{resource: "namespaces", folder: "namespaces", keys: 1},
	{resource: "services", folder: "services/specs", keys: 1},
	{resource: "customresourcedefinitions.apiextensions.k8s.io", folder: "apiextensions.k8s.io/customresourcedefinitions", keys: 1},
	{resource: "widgets." + group, folder: group + "/widgets", keys: 2}, // an override does not move custom resources
	{resource: "configmaps", folder: "configmaps", keys: 2, second: true},
	{resource: "deployments.apps", folder: "deployments", keys: 1, second: true},
	{resource: "events", folder: "events", keys: 1, second: true},
}

// A kube-apiserver with another --etcd-prefix and with --etcd-servers-overrides: the agent, a process in a root directory like its
// Job's, counts the same as etcdctl does, in both etcds.
func TestAnAgentCountsWhatAKubeAPIServerKeepsElsewhere(t *testing.T) {
	cp := startElsewhere(t)
	config, err := os.ReadFile(cp.APIServers[0].EncryptionConfig)
	require.NoError(t, err)
	agent := startAgent(t, config)
	for _, at := range keptElsewhere {
		r, err := etcdkey.ParseResource(at.resource)
		require.NoError(t, err)
		endpoint := cp.Etcd.Endpoint
		if at.second {
			endpoint = cp.SecondEtcd.Endpoint
		}
		for _, decrypt := range []bool{false, true} {
			c := cp.counting(r, config)
			c.Decrypt = decrypt
			counted := agent.count(t, c)
			want := tallyOf(t, endpoint, elsewhereFolder+at.folder+"/", counted.Revision)
			require.Len(t, want, at.keys, "etcd holds %s there", at.resource)
			require.Len(t, counted.Tallies, 1)
			assert.Equal(t, want, tallyIn(counted.Tallies[0]), at.resource)
			assert.Zero(t, counted.Tallies[0].Strays)
			for _, g := range counted.Tallies[0].Groups {
				assert.Contains(t, []census.State{census.Current, census.Stale, census.Plaintext}, g.State, "each value opens")
			}
		}
	}
	t.Run("everything in the first etcd", func(t *testing.T) {
		counted := agent.count(t, cp.counting(etcdkey.Resource{}, config))
		byName := map[string]tally{}
		for _, told := range counted.Tallies {
			byName[told.Resource] = tallyIn(told)
		}
		assert.NotContains(t, byName, "", "no key is of a resource that nobody knows")
		for _, at := range keptElsewhere {
			if at.second {
				assert.NotContains(t, byName, at.resource)
				continue
			}
			assert.Equal(t, tallyOf(t, cp.Etcd.Endpoint, elsewhereFolder+at.folder+"/", counted.Revision), byName[at.resource], at.resource)
		}
	})
	t.Run("nothing is where kube-apiserver keeps it by default", func(t *testing.T) {
		c := cp.counting(etcdkey.Resource{Name: "secrets"}, config)
		c.Prefix = etcdkey.DefaultPrefix
		assert.Zero(t, agent.count(t, c).Count)
	})
}

// startElsewhere starts a control plane of its own and fills it: under two keys, and in plaintext.
func startElsewhere(t *testing.T) *controlPlane {
	t.Helper()
	dir := filepath.Join(folder(), "elsewhere")
	t.Cleanup(func() {
		require.NoError(t, harness(context.WithoutCancel(t.Context()), "bare", "down", "--dir", dir))
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cp, err := start(ctx, dir, "--etcd-prefix", elsewherePrefix, "--etcd-overrides", elsewhereOverrides[0],
		"--etcd-overrides", elsewhereOverrides[1], "--etcd-overrides", elsewhereOverrides[2], "--etcd-overrides", elsewhereOverrides[3])
	require.NoError(t, err)
	cp.define(t, widgets)
	cp.make(t, "old", 30)
	cp.rotate(t, "secretbox")
	cp.make(t, "new", 20)
	return cp
}

// make makes objects of some kinds, and an event.
func (cp *controlPlane) make(t *testing.T, name string, count int) {
	t.Helper()
	const ns = "default"
	for i := range count {
		meta := metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", name, i), Namespace: ns}
		_, err := cp.typed.CoreV1().Secrets(ns).Create(t.Context(), &corev1.Secret{ObjectMeta: meta}, metav1.CreateOptions{})
		require.NoError(t, err)
		_, err = cp.typed.CoreV1().ConfigMaps(ns).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: meta}, metav1.CreateOptions{})
		require.NoError(t, err)
		_, err = cp.of(widgets, ns).Create(t.Context(), newObject(widgets, ns, meta.Name, "as it was"), metav1.CreateOptions{})
		require.NoError(t, err)
	}
	_, err := cp.typed.CoreV1().Events(ns).Create(t.Context(), &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns}, InvolvedObject: corev1.ObjectReference{Namespace: ns},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	labels := map[string]string{"app": name}
	_, err = cp.typed.AppsV1().Deployments(ns).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(0)), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "none", Image: "none.invalid/none"}}},
			},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// counting asks for a resource as verify does, with the kube-apiserver's flags as they were given.
func (cp *controlPlane) counting(r etcdkey.Resource, config []byte) agentapi.Counting {
	c := agentapi.Counting{
		Resource: r, Prefix: elsewherePrefix, Servers: []string{cp.Etcd.Endpoint}, Config: encconfig.Digest(config), Names: 10,
	}
	for _, resource := range elsewhereOverrides {
		c.Overrides = append(c.Overrides, resource+"#"+cp.SecondEtcd.Endpoint)
	}
	return c
}

// count has the agent count to the end. It is little enough for one request.
func (a *agentProcess) count(t *testing.T, c agentapi.Counting) *agentapi.Counted {
	t.Helper()
	answer := a.ask(t, agentapi.Request{Op: agentapi.Count, Count: &c})
	require.Nil(t, answer.Error)
	require.NotNil(t, answer.Counted)
	require.True(t, answer.Counted.Done)
	return answer.Counted
}

// tallyIn is what the agent tells of a resource, by key.
func tallyIn(told census.Tally) tally {
	counts := tally{}
	for _, g := range told.Groups {
		counts[g.NamedKey().String()] += g.Objects
	}
	return counts
}
