// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// traveller reads all seeds again and again while kube-apiservers restart, one after the other. It asks every one, as a
// client behind a load balancer does: not those that are not ready.
type traveller struct {
	nodes []*node
	// reads counts by node, absent counts how often a node was passed over.
	reads, absent map[string]int
	// failed are reads that a kube-apiserver failed although it was ready, nowhere those that none could be asked for.
	failed, nowhere []error
}

// readThroughRestarts starts a traveller on a cluster of several nodes. The function that it returns ends it, and
// requires that no read failed, that there was a kube-apiserver for each, and that none was missing while another was.
func (c *cluster) readThroughRestarts(t *testing.T) (end func()) {
	t.Helper()
	before := c.failures(t)
	ctx, cancel := context.WithCancel(t.Context())
	r := &traveller{nodes: slices.Clone(c.nodes), reads: map[string]int{}, absent: map[string]int{}}
	w := &watcher{}
	var wg sync.WaitGroup
	wg.Go(func() { r.travel(ctx) })
	for _, n := range r.nodes {
		wg.Go(func() { w.watch(ctx, n) })
	}
	return func() {
		t.Helper()
		cancel()
		wg.Wait()
		t.Logf("objects read by node: %v; nodes passed over: %v; outages: %v", r.reads, r.absent, w.outages)
		assert.Len(t, r.reads, len(r.nodes), "each kube-apiserver was read from")
		assert.Empty(t, r.failed, "reads that a kube-apiserver which is ready has failed")
		assert.Empty(t, r.nowhere, "reads for which there was no kube-apiserver")
		assert.Empty(t, w.overlaps(), "times in which more than one kube-apiserver was not ready")
		assert.Subset(t, before, c.failures(t), "what the kube-apiservers could not decrypt")
	}
}

func (r *traveller) travel(ctx context.Context) {
	const pause = 50 * time.Millisecond // kube-apiservers start on the same processors
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for i := 0; ctx.Err() == nil; i = (i + 1) % seeds {
		served := 0
		for _, n := range r.nodes {
			if r.readFrom(ctx, n, i) {
				served++
			}
		}
		if served == 0 && ctx.Err() == nil {
			r.nowhere = append(r.nowhere, fmt.Errorf("%s: %s", time.Now().Format(time.TimeOnly), seedName(i)))
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// readFrom reads a seed through a node and tells whether it was served. One that fails is a failure of a kube-apiserver
// that was ready before and still is: the others go down, or come up and do not know their users yet.
func (r *traveller) readFrom(ctx context.Context, n *node, seed int) bool {
	if !n.ready(ctx) {
		r.absent[n.name]++
		return false
	}
	err := readSeed(ctx, n.client, seed)
	switch {
	case ctx.Err() != nil:
		return false
	case err == nil:
		r.reads[n.name]++
		return true
	case n.ready(ctx):
		r.failed = append(r.failed, fmt.Errorf("%s through %s: %w", time.Now().Format(time.TimeOnly), n.name, err))
	default:
		r.absent[n.name]++
	}
	return false
}
