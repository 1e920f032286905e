// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// ready asks the node's own kube-apiserver whether it is ready.
func (n *node) ready(ctx context.Context) bool {
	const limit = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := n.client.CoreV1().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
	return err == nil
}

// outage is a time in which a node's kube-apiserver was not ready. It ends when it was seen to be ready again.
type outage struct {
	node     string
	from, to time.Time
}

func (o outage) String() string {
	return fmt.Sprintf("%s from %s for %s", o.node, o.from.Format(time.TimeOnly), o.to.Sub(o.from).Round(time.Millisecond))
}

// watcher keeps book of when kube-apiservers are not ready.
type watcher struct {
	mu      sync.Mutex
	outages []outage
}

func (w *watcher) watch(ctx context.Context, n *node) {
	const often = 200 * time.Millisecond
	ticker := time.NewTicker(often)
	defer ticker.Stop()
	var since time.Time
	for ctx.Err() == nil {
		asked := time.Now()
		ready := n.ready(ctx)
		if ready && !since.IsZero() {
			w.note(n, since)
			since = time.Time{}
		} else if !ready && since.IsZero() && ctx.Err() == nil {
			since = asked
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	if !since.IsZero() {
		w.note(n, since)
	}
}

func (w *watcher) note(n *node, since time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outages = append(w.outages, outage{node: n.name, from: since, to: time.Now()})
}

// overlaps are the times in which kube-apiservers of two nodes were not ready.
func (w *watcher) overlaps() []string {
	var list []string
	for _, a := range w.outages {
		for _, b := range w.outages {
			if a.node < b.node && a.from.Before(b.to) && b.from.Before(a.to) {
				list = append(list, fmt.Sprintf("%s and %s", a, b))
			}
		}
	}
	return list
}
