// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/machine"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/peer"
	"github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/result"
)

func TestUsage_fill(t *testing.T) {
	began := time.Now()
	const wall = 10 * time.Second
	capacity := wall * time.Duration(runtime.NumCPU())
	before := usage{at: began, apiserver: time.Second, etcd: time.Second, kcm: time.Second, others: time.Second}
	after := usage{
		at: began.Add(wall), apiserver: 3 * time.Second, etcd: 2 * time.Second, kcm: time.Second, others: 1500 * time.Millisecond,
		load: machine.Load{Busy: 4*time.Second + capacity/4, Steal: capacity / 10, Average1: 1.5},
	}
	var slice result.Slice
	before.fill(&slice, after, ran{cpu: 500 * time.Millisecond, peak: 7, outcome: peer.Outcome{Work: 9}})
	assert.Equal(t, result.CPU{Client: 0.5, APIServer: 2, Etcd: 1}, slice.CPU)
	assert.InDelta(t, 10, slice.Wall, 1e-9)
	assert.InDelta(t, 9, slice.Work, 1e-9)
	assert.InDelta(t, 0.25, slice.Foreign, 1e-9, "what neither the peer, the control plane nor the benchmark used")
	assert.InDelta(t, 0.1, slice.Steal, 1e-9)
	assert.InDelta(t, 1.5, slice.Load1, 1e-9)

	var pipeline result.Slice
	before.fill(&pipeline, after, ran{})
	assert.InDelta(t, 10, pipeline.Work, 1e-9, "a peer that does not tell its work has worked all the time")
}

func TestTail(t *testing.T) {
	assert.Equal(t, "short", tail(" short\n"))
	long := make([]byte, 1000)
	for i := range long {
		long[i] = 'x'
	}
	assert.Len(t, tail(string(long)), 300)
}
