// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import "time"

// The defaults of Options.
const (
	// DefaultConcurrency is near the knee: more writes in flight gain little and cost other users latency.
	DefaultConcurrency = 8
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
	// Concurrency is the number of writes in flight.
	Concurrency int
	// MaxRate is the limit of writes per second, 0 is none.
	MaxRate float64
	// PageSize is the number of objects in a page of a list.
	PageSize int64
	// ObjectTimeout is how long one object, or one page, is tried while the server can't answer.
	ObjectTimeout time.Duration
	// Progress is told how far the run is, never from two goroutines at once, at most every 200 ms and once at the
	// end of a pass. It must return soon: the run waits for it.
	Progress func(Progress)
}

func (o Options) withDefaults() Options {
	if o.Concurrency <= 0 {
		o.Concurrency = DefaultConcurrency
	}
	if o.PageSize <= 0 {
		o.PageSize = DefaultPageSize
	}
	if o.ObjectTimeout <= 0 {
		o.ObjectTimeout = DefaultObjectTimeout
	}
	return o
}
