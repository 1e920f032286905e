// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdspace

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Interval is the time from the end of one reading of a Watch to the next, which takes 10 to 20 ms a member. At 10 s, a
// migration could fill an etcd with a small quota between two readings.
const Interval = 2 * time.Second

// errEnded is what Hold returns when nobody is left to let it go on.
var errEnded = errors.New("the room left in etcd is not watched any more, and the migration was paused")

// Watch reads etcd's room while a migration runs, and holds the migration up while there is none.
type Watch struct {
	read   func(context.Context) (Reading, error)
	window time.Duration
	told   func(text string)

	gate  atomic.Pointer[gate]
	ended chan struct{}
}

// gate is what those wait for who are held. There is none while nobody is.
type gate struct{ opened chan struct{} }

// NewWatch makes a watch that nothing is held by before Run has read for the first time. The window is two intervals of
// compaction, 0 if nothing is compacted. The function told gets one sentence whenever the migration is paused or goes on, and when etcd can't be read for long; it must return soon.
func NewWatch(read func(context.Context) (Reading, error), window time.Duration, told func(text string)) *Watch {
	return &Watch{read: read, window: max(window, patience), told: told, ended: make(chan struct{})}
}

// Run reads at once and then with an Interval in between until the context ends. It is called once.
func (w *Watch) Run(ctx context.Context) {
	defer close(w.ended)
	j := judge{window: w.window}
	for {
		reading, err := w.read(ctx)
		if ctx.Err() != nil {
			return
		}
		texts := j.see(time.Now(), reading, err)
		w.set(j.held)
		for _, text := range texts {
			w.told(text)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(Interval):
		}
	}
}

// set opens or closes the gate. Only Run calls it.
func (w *Watch) set(held bool) {
	closed := w.gate.Load()
	switch {
	case held && closed == nil:
		w.gate.Store(&gate{opened: make(chan struct{})})
	case !held && closed != nil:
		w.gate.Store(nil)
		close(closed.opened)
	}
}

// Hold returns when the migration may write: at once, at the price of an atomic load, or after a pause. The error is
// the context's, or that Run has ended during a pause.
func (w *Watch) Hold(ctx context.Context) error {
	for {
		closed := w.gate.Load()
		if closed == nil {
			return nil
		}
		select {
		case <-closed.opened:
		case <-w.ended:
			return errEnded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
