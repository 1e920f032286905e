// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package svm

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	svmv1 "k8s.io/api/storagemigration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// The times after which the modelled controller looks again: the first and the longest.
const (
	lookInterval    = 500 * time.Millisecond
	longestInterval = 4 * time.Minute
)

// controller is the one of kube-controller-manager, as k8s.io/kubernetes@v1.37.1 pkg/controller/storageversionmigrator
// has it: one migration of a resource at a time, the oldest first, serial, ended by the first answer that counts.
type controller struct {
	client *fake.Clientset
	store  *store
	// cacheDelay is how long the garbage collector's cache takes to catch up.
	cacheDelay time.Duration
	// accept chooses the migrations that it sees, nil for all.
	accept func(*svmv1.StorageVersionMigration) bool
}

// served is a client of an API server with the given versions of the group.
func served(versions ...string) *fake.Clientset {
	client := fake.NewClientset()
	for _, v := range versions {
		client.Resources = append(client.Resources, &metav1.APIResourceList{GroupVersion: svmv1.GroupName + "/" + v})
	}
	client.PrependReactor("create", "storageversionmigrations", func(action clienttesting.Action) (bool, runtime.Object, error) {
		action.(clienttesting.CreateAction).GetObject().(*svmv1.StorageVersionMigration).CreationTimestamp = metav1.Now()
		return false, nil, nil
	})
	return client
}

// start works until the context is done, and then closes the channel.
func (c *controller) start(ctx context.Context, t *testing.T) <-chan struct{} {
	t.Helper()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		delay := lookInterval
		for ctx.Err() == nil {
			if m := c.next(ctx, t); m == nil || c.work(ctx, t, m) {
				delay = lookInterval
			} else {
				delay = min(2*delay, longestInterval)
			}
			_ = sleep(ctx, delay)
		}
	}()
	return stopped
}

// next is the migration to work on. One that has ended is let go of.
func (c *controller) next(ctx context.Context, t *testing.T) *svmv1.StorageVersionMigration {
	t.Helper()
	var first *svmv1.StorageVersionMigration
	for _, m := range migrations(ctx, t, c.client) {
		switch {
		case c.accept != nil && !c.accept(&m):
		case stageOf(&m).ended() && !released(&m):
			c.set(ctx, m.Name, svmv1.MigrationRunning, metav1.ConditionFalse, "Migration completed")
		case stageOf(&m).ended():
		case first == nil || m.CreationTimestamp.Before(&first.CreationTimestamp):
			first = &m
		}
	}
	return first
}

// migrations are those of the API, also when the test's context is done.
func migrations(ctx context.Context, t *testing.T, client *fake.Clientset) []svmv1.StorageVersionMigration {
	t.Helper()
	list, err := client.StoragemigrationV1().StorageVersionMigrations().List(context.WithoutCancel(ctx), metav1.ListOptions{})
	assert.NoError(t, err)
	if list == nil {
		return nil
	}
	return list.Items
}

// work is one attempt at a migration. It tells whether that ended it; another follows after ever longer times.
func (c *controller) work(ctx context.Context, t *testing.T, m *svmv1.StorageVersionMigration) bool {
	t.Helper()
	name := m.Name
	if stageOf(m) == queued {
		c.set(ctx, name, svmv1.MigrationRunning, metav1.ConditionTrue, "The migration is running")
	}
	_ = sleep(ctx, time.Second)
	c.store.mu.Lock()
	limit := c.store.version
	c.store.mu.Unlock()
	c.update(ctx, name, func(m *svmv1.StorageVersionMigration) {
		if m.Status.ResourceVersion == "" {
			m.Status.ResourceVersion = strconv.FormatInt(limit, 10)
		}
	})
	_ = sleep(ctx, c.cacheDelay)
	list, err := c.store.List(ctx, secrets, "", metav1.ListOptions{})
	assert.NoError(t, err)
	left := len(list.Items)
	for _, o := range list.Items {
		if ctx.Err() != nil {
			return true
		}
		_, err := c.store.write(o.Name, o.ResourceVersion, false)
		c.store.count()
		switch {
		case err == nil, apierrors.IsConflict(err), apierrors.IsNotFound(err):
			left--
		case apierrors.IsInternalError(err):
			c.set(ctx, name, svmv1.MigrationRunning, metav1.ConditionTrue,
				fmt.Sprintf("The migration is running, %d/%d objects not yet migrated; transient error: %s", left, len(list.Items), err))
			return false
		default:
			c.set(ctx, name, svmv1.MigrationFailed, metav1.ConditionTrue,
				fmt.Sprintf("%d/%d not yet migrated. migration encountered unhandled error: %s", left, len(list.Items), err))
			return true
		}
	}
	c.set(ctx, name, svmv1.MigrationSucceeded, metav1.ConditionTrue, "Migration completed")
	return true
}

func (s *store) count() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.controllers++
}

func (c *controller) set(
	ctx context.Context, name string, condition svmv1.MigrationConditionType, status metav1.ConditionStatus, message string,
) {
	c.update(ctx, name, func(m *svmv1.StorageVersionMigration) {
		meta.SetStatusCondition(&m.Status.Conditions, metav1.Condition{
			Type: string(condition), Status: status, Reason: "Modelled", Message: message,
		})
	})
}

// update changes a migration's status, if it is there.
func (c *controller) update(ctx context.Context, name string, change func(*svmv1.StorageVersionMigration)) {
	ctx = context.WithoutCancel(ctx)
	m, err := c.client.StoragemigrationV1().StorageVersionMigrations().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return
	}
	change(m)
	_, _ = c.client.StoragemigrationV1().StorageVersionMigrations().UpdateStatus(ctx, m, metav1.UpdateOptions{})
}
