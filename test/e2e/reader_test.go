// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// reader reads all seeds through every kube-apiserver, over and over.
type reader struct {
	mu sync.Mutex
	// refused are errors that a kube-apiserver answered with, broken those of the way to it.
	refused, broken []error
	sweeps          map[string]int
}

// readAlways starts a reader. The function that it returns ends it and requires that nothing was ever unreadable: not
// by an answer, not by a connection (nothing is restarted meanwhile), and not by any kube-apiserver's own counters,
// which have what its watch caches and controllers read as well.
func (c *cluster) readAlways(t *testing.T) (end func()) {
	t.Helper()
	before, endSeeds := c.failures(t), c.readSeeds(t)
	return func() {
		t.Helper()
		endSeeds()
		assert.Equal(t, before, c.failures(t), "what the kube-apiservers could not decrypt")
	}
}

// readSeeds reads all seeds through every kube-apiserver until its function is called, and requires that each could be read each time.
// Other objects may be unreadable meanwhile.
func (c *cluster) readSeeds(t *testing.T) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &reader{sweeps: map[string]int{}}
	var wg sync.WaitGroup
	for _, n := range c.nodes {
		wg.Go(func() { r.read(ctx, n) })
	}
	return func() {
		t.Helper()
		cancel()
		wg.Wait()
		t.Logf("all seeds were read, so many times: %v", r.sweeps)
		assert.Len(t, r.sweeps, len(c.nodes), "each kube-apiserver was read from")
		assert.Empty(t, r.refused, "answers of kube-apiservers")
		assert.Empty(t, r.broken, "connections to kube-apiservers")
	}
}

func (r *reader) read(ctx context.Context, n *node) {
	const pause = 500 * time.Millisecond
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		for i := range seeds {
			err := readSeed(ctx, n.client, i)
			if ctx.Err() != nil {
				return
			}
			r.note(n, err)
		}
		r.mu.Lock()
		r.sweeps[n.name]++
		r.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (r *reader) note(n *node, err error) {
	if err == nil {
		return
	}
	err = fmt.Errorf("%s through %s: %w", time.Now().Format(time.TimeOnly), n.name, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		r.refused = append(r.refused, err)
	} else {
		r.broken = append(r.broken, err)
	}
}

func (c *cluster) failures(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, n := range c.nodes {
		failed, err := n.failedDecryptions(t.Context())
		require.NoError(t, err)
		all = append(all, failed...)
	}
	return all
}
