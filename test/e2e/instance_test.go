// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/wait"
)

// waitLimit ends waiting for what comes by itself, on a busy machine too.
const waitLimit = 5 * time.Minute

// until asks every second whether something holds that comes by itself.
func until(t *testing.T, holds func() bool, what ...any) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Second, waitLimit, true, func(context.Context) (bool, error) {
		return holds(), nil
	})
	require.NoError(t, err, what...)
}

var loadedPattern = regexp.MustCompile(`(?m)^apiserver_encryption_config_controller_last_config_info\{.*[{,]hash="([^"]*)"`)

// metrics asks the node's own kube-apiserver.
func (n *node) metrics(ctx context.Context) (string, error) {
	data, err := n.client.CoreV1().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	return string(data), err
}

// loaded is the digest of the configuration that the node's kube-apiserver uses, by its own word.
func (n *node) loaded(ctx context.Context) (string, error) {
	text, err := n.metrics(ctx)
	if err != nil {
		return "", err
	}
	found := loadedPattern.FindAllStringSubmatch(text, -1)
	if len(found) != 1 {
		return "", nil
	}
	return found[0][1], nil
}

// checkLoaded requires that all nodes have the same file and all kube-apiservers have loaded it.
func (c *cluster) checkLoaded(t *testing.T) {
	t.Helper()
	want := digest(c.nodes[0].read(t))
	for _, n := range c.nodes {
		loaded, err := n.loaded(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, digest(n.read(t)), "the file of %s is that of %s", n.name, c.nodes[0].name)
		require.Equal(t, want, loaded, "the kube-apiserver of %s has loaded its file", n.name)
	}
}

// awaitLoaded waits until each kube-apiserver has loaded its file. It is for files that a test edits.
func (c *cluster) awaitLoaded(t *testing.T) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Second, waitLimit, true, func(ctx context.Context) (bool, error) {
		return !slices.ContainsFunc(c.nodes, func(n *node) bool {
			loaded, err := n.loaded(ctx)
			return err != nil || loaded != digest(n.read(t))
		}), nil
	})
	require.NoError(t, err, "the kube-apiservers load their files")
}

// failedDecryptions are the counters of what a kube-apiserver could not decrypt or encrypt, as its metrics have them.
func (n *node) failedDecryptions(ctx context.Context) ([]string, error) {
	text, err := n.metrics(ctx)
	if err != nil {
		return nil, err
	}
	var failed []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "apiserver_storage_transformation_operations_total{") && !strings.Contains(line, `status="OK"`) {
			failed = append(failed, n.name+": "+strings.TrimSpace(line))
		}
	}
	return failed, nil
}
