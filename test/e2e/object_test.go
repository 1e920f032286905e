// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	seedNamespace = "e2e-seed"
	// seeds is how many Secrets, and how many ConfigMaps, every test reads.
	seeds = 12
)

func seedName(i int) string { return fmt.Sprintf("seed-%02d", i) }

// seedValue is what the object of this name holds for ever.
func seedValue(name string) string { return strings.Repeat(name+" ", 20) }

// createNamespace makes a namespace, unless it is there.
func (c *cluster) createNamespace(t *testing.T, name string) {
	t.Helper()
	_, err := c.client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	requireMade(t, err)
}

func requireMade(t *testing.T, err error) {
	t.Helper()
	if !apierrors.IsAlreadyExists(err) {
		require.NoError(t, err)
	}
}

// seed makes the objects that must stay readable.
func (c *cluster) seed(t *testing.T) {
	t.Helper()
	c.createNamespace(t, seedNamespace)
	for i := range seeds {
		meta := metav1.ObjectMeta{Name: seedName(i), Namespace: seedNamespace}
		value := seedValue(meta.Name)
		_, err := c.client.CoreV1().Secrets(seedNamespace).Create(t.Context(),
			&corev1.Secret{ObjectMeta: meta, StringData: map[string]string{"value": value}}, metav1.CreateOptions{})
		requireMade(t, err)
		_, err = c.client.CoreV1().ConfigMaps(seedNamespace).Create(t.Context(),
			&corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"value": value}}, metav1.CreateOptions{})
		requireMade(t, err)
	}
}

// readSeed reads the Secret and the ConfigMap with a number. A get without a resourceVersion is answered from etcd,
// not from the watch cache (k8s.io/apiserver@v0.37.1 pkg/storage/cacher/delegator.go), so the value is decrypted.
func readSeed(ctx context.Context, client kubernetes.Interface, i int) error {
	name := seedName(i)
	secret, err := client.CoreV1().Secrets(seedNamespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read Secret %s: %w", name, err)
	}
	configMap, err := client.CoreV1().ConfigMaps(seedNamespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read ConfigMap %s: %w", name, err)
	}
	if string(secret.Data["value"]) != seedValue(name) || configMap.Data["value"] != seedValue(name) {
		return fmt.Errorf("%s has another value than it was given", name)
	}
	return nil
}

// checkReadable reads every object, one by one, through each kube-apiserver.
func (c *cluster) checkReadable(t *testing.T) {
	t.Helper()
	secrets, err := c.client.CoreV1().Secrets("").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	configMaps, err := c.client.CoreV1().ConfigMaps("").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, n := range c.nodes {
		for i := range seeds {
			assert.NoError(t, readSeed(t.Context(), n.client, i), "through %s", n.name)
		}
		for _, s := range secrets.Items {
			_, err := n.client.CoreV1().Secrets(s.Namespace).Get(t.Context(), s.Name, metav1.GetOptions{})
			assert.NoError(t, err, "Secret %s/%s through %s", s.Namespace, s.Name, n.name)
		}
		for _, m := range configMaps.Items {
			_, err := n.client.CoreV1().ConfigMaps(m.Namespace).Get(t.Context(), m.Name, metav1.GetOptions{})
			assert.NoError(t, err, "ConfigMap %s/%s through %s", m.Namespace, m.Name, n.name)
		}
	}
}
