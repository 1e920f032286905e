// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrate"
)

// A list is compacted away in its middle: the server answers 410, and the list goes on behind what it had, at a later state in
// which an object is gone that stood before it and another one is new.
func TestAContinueTokenThatExpires(t *testing.T) {
	ns := namespace(t, "expired")
	fill(t, secrets, ns, 100)
	key := bare.rotate(t, "secretbox")
	client := &expiring{Client: bare.migrator, meanwhile: func(ctx context.Context) error {
		_, err := bare.of(secrets, ns).Create(ctx, newObject(secrets, ns, "o-999", "as it was"), metav1.CreateOptions{})
		return errors.Join(err, bare.of(secrets, ns).Delete(ctx, "o-99", metav1.DeleteOptions{}))
	}}
	report, err := migrate.Run(t.Context(), client, secrets, migrate.Options{Baseline: baseline(t, secrets), PageSize: 10})
	require.NoError(t, err)
	t.Logf("%+v", report)
	assert.Equal(t, 1, client.expired, "the server answered 410")
	assert.Equal(t, 1, report.Passes, "the list did not begin again")
	assert.True(t, report.Complete)
	assert.Equal(t, int64(100), report.Listed)
	assert.Equal(t, int64(99), report.Migrated)
	assert.Equal(t, int64(1), report.Skipped, "what is new is later than the baseline")
	bare.requireAllStoredWith(t, key, secrets)
}

// expiring lets the token for the third page of the first list expire.
type expiring struct {
	migrate.Client

	// meanwhile happens before that.
	meanwhile func(context.Context) error
	// lists and expired count.
	lists, expired int
}

// List implements migrate.Client. A run lists one page at a time.
func (c *expiring) List(
	ctx context.Context, r migrate.Resource, namespace string, opts metav1.ListOptions,
) (*metav1.PartialObjectMetadataList, error) {
	if c.lists++; c.lists == 3 {
		if err := c.meanwhile(ctx); err != nil {
			return nil, err
		}
		if err := bare.compact(ctx); err != nil {
			return nil, err
		}
		if err := c.await(ctx, r, namespace, opts); err != nil {
			return nil, err
		}
	}
	list, err := c.Client.List(ctx, r, namespace, opts)
	if apierrors.IsResourceExpired(err) {
		c.expired++
	}
	return list, err
}

// await waits until the server knows that a list is compacted away: kube-apiserver serves it from its cache until then, and
// looks every 15 seconds (apiserver@v0.37.2 pkg/storage/cacher/compactor.go).
func (c *expiring) await(ctx context.Context, r migrate.Resource, namespace string, opts metav1.ListOptions) error {
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		_, err := c.Client.List(ctx, r, namespace, opts)
		return apierrors.IsResourceExpired(err), nil
	})
}
