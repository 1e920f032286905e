// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	manyNamespace = "e2e-many"
	// many is how many Secrets, and how many ConfigMaps, a cluster has before encryption is turned on.
	many = 200
)

func manyName(i int) string { return fmt.Sprintf("many-%03d", i) }

// seedMany makes the objects that a cluster in use has.
func (c *cluster) seedMany(t *testing.T) {
	t.Helper()
	c.createNamespace(t, manyNamespace)
	for i := range many {
		meta := metav1.ObjectMeta{Name: manyName(i), Namespace: manyNamespace}
		data := map[string]string{"value": seedValue(meta.Name)}
		_, err := c.client.CoreV1().Secrets(manyNamespace).Create(t.Context(),
			&corev1.Secret{ObjectMeta: meta, StringData: data}, metav1.CreateOptions{})
		requireMade(t, err)
		_, err = c.client.CoreV1().ConfigMaps(manyNamespace).Create(t.Context(),
			&corev1.ConfigMap{ObjectMeta: meta, Data: data}, metav1.CreateOptions{})
		requireMade(t, err)
	}
}

// checkMany compares the objects that a cluster in use has with what they were made with.
func (c *cluster) checkMany(t *testing.T) {
	t.Helper()
	for _, n := range c.nodes {
		secrets, err := n.client.CoreV1().Secrets(manyNamespace).List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		assert.Len(t, secrets.Items, many, "Secrets through %s", n.name)
		for _, s := range secrets.Items {
			assert.Equal(t, seedValue(s.Name), string(s.Data["value"]), "Secret %s through %s", s.Name, n.name)
		}
		configMaps, err := n.client.CoreV1().ConfigMaps(manyNamespace).List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		for _, m := range configMaps.Items {
			if m.Name != "kube-root-ca.crt" { // every namespace has it
				assert.Equal(t, seedValue(m.Name), m.Data["value"], "ConfigMap %s through %s", m.Name, n.name)
			}
		}
		assert.Len(t, configMaps.Items, many+1, "ConfigMaps through %s", n.name)
	}
}
