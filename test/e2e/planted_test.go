// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
)

// unopenable is what may stand behind the prefix of any provider, by its length, and opens with no key.
const unopenable = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// keepPlanted has etcd hold a value of a resource that is not served any more, which no migration reaches: the key that it is under
// stays, whatever the retention is, and flags are not taken out.
func (c *cluster) keepPlanted(t *testing.T) {
	c.seedWidgets(t)
	c.succeed(t, "enable", "--yes", "--resources", widgets)
	old := c.writeKey(t)
	path := "/registry/" + inEtcd(widgets) + "/" + seedNamespace + "/" + seedName(0)
	c.forgetWidgets(t)
	c.etcdctl(t, "put", path, old.prefix()+unopenable)

	for range 3 {
		r := c.plugin(t, "rotate", "--yes", "--keep", "2")
		assert.Equal(t, found, r.code, "%s", r.stderr)
		assert.Contains(t, r.stderr, "though every object was migrated: 1 of "+widgets)
		assert.Contains(t, r.stderr, "kubectl encryption verify --all")
		assert.Contains(t, c.nodes[0].keys(t), old, "the key that a value was seen under stays")
	}
	before := c.setting(t)
	r := c.plugin(t, "disable", "--yes", "--remove-flags")
	assert.Equal(t, found, r.code, "%s", r.stderr)
	assert.Contains(t, r.stderr, "keep their flags, without which they could not read 1 of "+widgets)
	assert.Equal(t, before, c.setting(t), "the flags stay")
	c.checkNothingLeft(t)

	c.etcdctl(t, "del", path)
	c.succeed(t, "disable", "--yes", "--remove-flags")
	c.checkCalm(t, both(plaintext))
}

// forgetWidgets takes the definition of the widgets away, and with it the widgets.
func (c *cluster) forgetWidgets(t *testing.T) {
	t.Helper()
	client, err := dynamic.NewForConfig(c.config)
	require.NoError(t, err)
	definitions := client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	require.NoError(t, definitions.Delete(t.Context(), widgets, metav1.DeleteOptions{}))
	require.NoError(t, wait.PollUntilContextTimeout(t.Context(), time.Second, waitLimit, true, func(ctx context.Context) (bool, error) {
		_, err := definitions.Get(ctx, widgets, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	}), "the definition is gone, and is not served")
}
