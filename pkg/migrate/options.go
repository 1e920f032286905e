// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// The defaults of Options.
const (
	// DefaultConcurrency is the most writes in flight that a run which follows latency comes to: more gain next to
	// nothing and cost other users latency.
	DefaultConcurrency = 16
	// DefaultPageSize is the size of a page of a list, that of kubectl.
	DefaultPageSize = 500
	// DefaultObjectTimeout outlasts the restart of a kube-apiserver.
	DefaultObjectTimeout = 2 * time.Minute
)

// Options say how a migration runs. The zero value is a good one.
type Options struct {
	// Baseline is the resourceVersion that divides objects into current (later) and not known to be. Without one,
	// the first list of the run is the baseline, which is right if the write key was settled before.
	Baseline string
	// Concurrency is the number of writes in flight. 0 follows the latency of the writes, between 1 and
	// DefaultConcurrency.
	Concurrency int
	// MaxRate is the limit of writes per second, 0 is none.
	MaxRate float64
	// MaxFailures ends the run with ErrTooManyFailures when so many objects of a pass have failed, 0 is no limit.
	// Writes in flight by then are awaited and counted, so the report may have a few more.
	MaxFailures int64
	// PageSize is the number of objects in a page of a list.
	PageSize int64
	// ObjectTimeout is how long one object, or one page, is tried while the server can't answer. The times in which
	// no write is made because of the concurrency, the rate or Hold do not count.
	ObjectTimeout time.Duration
	// PatchType is the kind of the no-op (KindFor), apply without one. With apply it is merge where an apply would change the
	// object. Strategic suits small built-in objects alone, merge is for measuring.
	PatchType types.PatchType
	// CanaryNamespaces are namespaces in each of which one object is asked about before all others are, for instance
	// those that a webhook matches. A resource without namespaces has none.
	CanaryNamespaces []string
	// Canary is told of each canary that failed, as soon as it has, never from two goroutines at once. It must
	// return soon.
	Canary func(Canary)
	// Hold is asked before each write, from several goroutines at once, and blocks while writing must pause. Its
	// error ends the run. It must be cheap when it does not block.
	Hold func(context.Context) error
	// Progress is told how far the run is, never from two goroutines at once, at most every 200 ms, when Hold begins
	// and ends to block, and once at the end of a pass. It must return soon: the run waits for it.
	Progress func(Progress)
}

func (o Options) withDefaults() Options {
	if o.PageSize <= 0 {
		o.PageSize = DefaultPageSize
	}
	if o.ObjectTimeout <= 0 {
		o.ObjectTimeout = DefaultObjectTimeout
	}
	return o
}

func (o Options) validate() error {
	switch o.PatchType {
	case "", types.ApplyPatchType, types.MergePatchType, types.StrategicMergePatchType:
		return nil
	default:
		return fmt.Errorf("no no-op is known of the patch type %q", o.PatchType)
	}
}

// workers is the most writes in flight.
func (o Options) workers() int {
	if o.Concurrency > 0 {
		return o.Concurrency
	}
	return DefaultConcurrency
}
