// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
)

func (c *cluster) status(t *testing.T) v1alpha1.EncryptionStatus {
	t.Helper()
	var s v1alpha1.EncryptionStatus
	require.NoError(t, json.Unmarshal([]byte(c.succeed(t, "status", "-o", "json").stdout), &s))
	require.Len(t, s.Conditions, 1)
	return s
}

// checkUntouchedStatus is for a cluster with encryption that the plugin has not changed yet: nothing tells with which
// keys the stored objects are encrypted.
func (c *cluster) checkUntouchedStatus(t *testing.T) {
	t.Helper()
	s := c.status(t)
	assert.False(t, s.Healthy, s.Summary)
	assert.Equal(t, v1alpha1.Enabled, s.Encryption)
	assert.Equal(t, metav1.ConditionUnknown, s.Conditions[0].Status)
	assert.Equal(t, digest(c.nodes[0].read(t)), s.Digest)
	assert.Len(t, s.Nodes, len(c.nodes))
	assert.Nil(t, s.Rotation)
	k := c.writeKey(t)
	for _, r := range s.Resources {
		assert.Nil(t, r.Stale, "%s: without a baseline nothing is known to be stale, or not to be", r.Name)
		assert.Contains(t, []string{"", k.name}, r.WriteKey)
	}
	assert.Equal(t, 2, c.plugin(t, "status", "--exit-code").code, "not proven is not well")
}

// checkHealthyStatus is for a cluster after a rotation.
func (c *cluster) checkHealthyStatus(t *testing.T) {
	t.Helper()
	k := c.writeKey(t)
	s := c.status(t)
	assert.True(t, s.Healthy, s.Summary)
	assert.Empty(t, s.Problems)
	assert.Equal(t, metav1.ConditionTrue, s.Conditions[0].Status)
	assert.Equal(t, v1alpha1.EncryptionCompleted, s.Conditions[0].Reason)
	assert.Equal(t, digest(c.nodes[0].read(t)), s.Digest)
	assert.Equal(t, k.provider, s.Type)
	for _, n := range s.Nodes {
		assert.Equal(t, v1alpha1.StateUpdated, n.State, n.Name)
	}
	names := map[string]bool{}
	for _, r := range s.Resources {
		names[r.Name] = true
		assert.Equal(t, k.name, r.WriteKey, r.Name)
		assert.Equal(t, new(int64(0)), r.Stale, "%s: stale", r.Name)
		assert.Positive(t, *r.Objects, r.Name)
	}
	assert.True(t, names["secrets"] && names["configmaps"], "%v", names)
	require.NotNil(t, s.Rotation)
	assert.Equal(t, v1alpha1.Completed, s.Rotation.State)
	assert.Equal(t, k.name, s.Rotation.To.Name)
	assert.Zero(t, c.plugin(t, "status", "--exit-code").code)
}

// sample is one answer of status, and the time in which it was found.
type sample struct {
	begun, ended time.Time
	status       v1alpha1.EncryptionStatus
	err          error
}

// watchStatus asks for the status over and over until the context ends.
func (c *cluster) watchStatus(ctx context.Context, samples chan<- sample) {
	defer close(samples)
	for ctx.Err() == nil {
		s := sample{begun: time.Now()}
		var r result
		r, s.err = c.run(ctx, "status", "-o", "json")
		if ctx.Err() != nil {
			return
		}
		s.ended = time.Now()
		if s.err == nil {
			s.err = json.Unmarshal([]byte(r.stdout), &s.status)
		}
		samples <- s
	}
}

// rotateUnderWatch rotates and requires of each status meanwhile that it does not call well what is not: from the
// first step until the record is finished, the rotation is not over.
func (c *cluster) rotateUnderWatch(t *testing.T) {
	t.Helper()
	const many = 10_000
	samples := make(chan sample, many)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go c.watchStatus(ctx, samples)
	p := c.begin(t, "rotate", "--yes", "--max-rate", "20")
	require.Zero(t, p.wait(t), "%s", &p.stderr)
	stop()
	var first, last time.Time
	for _, e := range p.seen {
		if first.IsZero() && e.Event == "step-done" {
			first = e.Time
		}
		if e.starts("close") {
			last = e.Time
		}
	}
	reasons := map[string]int{}
	for s := range samples {
		require.NoError(t, s.err)
		if s.begun.Before(first) || s.ended.After(last) {
			continue
		}
		condition := s.status.Conditions[0]
		reasons[condition.Reason]++
		assert.False(t, s.status.Healthy, s.status.Summary)
		assert.NotEqual(t, metav1.ConditionTrue, condition.Status, s.status.Summary)
		require.NotNil(t, s.status.Rotation)
		assert.Equal(t, v1alpha1.InProgress, s.status.Rotation.State)
	}
	t.Logf("reasons of the condition meanwhile: %v", reasons)
	assert.Positive(t, reasons[v1alpha1.EncryptionInProgress])
}
