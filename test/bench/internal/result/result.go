// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package result is what a run of the benchmark has measured, as it is kept in results.json. It is data alone: what
// follows from it is in package report.
package result

import "github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/machine"

// Results of one run of the benchmark.
type Results struct {
	// Date of the run, in UTC, as in RFC 3339.
	Date string `json:"date"`
	// Quick tells that the run had few rounds and small slices.
	Quick bool `json:"quick"`
	// Seed of the order of the peers and of the intervals.
	Seed     uint64        `json:"seed"`
	Machine  machine.About `json:"machine"`
	Versions Versions      `json:"versions"`
	// Provider is what encrypts.
	Provider string   `json:"provider"`
	Slices   []Slice  `json:"slices"`
	Probes   []Probe  `json:"probes,omitempty"`
	Memory   []Memory `json:"memory,omitempty"`
}

// Versions of what was compared.
type Versions struct {
	Plugin     string `json:"plugin"`
	Kubernetes string `json:"kubernetes"`
	Kubectl    string `json:"kubectl"`
	KSVM       string `json:"ksvm"`
}

// The series.
const (
	SeriesRounds     = "rounds"
	SeriesSizes      = "sizes"
	SeriesShipped    = "shipped"
	SeriesForeground = "foreground"
	SeriesWorkers    = "workers"
	SeriesPatchTypes = "patchtypes"
	SeriesMemory     = "memory"
)

// Slice is one peer that stored one dataset again.
type Slice struct {
	Series  string `json:"series"`
	Dataset string `json:"dataset"`
	// Round counts from 1. Only slices of the same round are compared.
	Round   int    `json:"round"`
	Peer    string `json:"peer"`
	Objects int    `json:"objects"`
	// Void says why the slice does not count; empty if it does.
	Void string `json:"void,omitempty"`

	// Wall is from the start of the peer's process to its end, Work what the peer itself says its work took, Wait
	// how long a controller waited before it; all in seconds.
	Wall float64 `json:"wallSeconds"`
	Work float64 `json:"workSeconds"`
	Wait float64 `json:"waitSeconds,omitempty"`
	CPU  CPU     `json:"cpuSeconds"`
	// Peak is the most memory that the peer's processes held, in bytes.
	Peak int64 `json:"peakBytes"`
	// Workers is the most writes that a peer which follows latency had in flight.
	Workers int `json:"workers,omitempty"`
	// LastRate is the rate at the end of the slice in objects per second, where it is looked at.
	LastRate float64 `json:"lastRate,omitempty"`

	// Foreign and Steal are the shares of the machine's processors that were used by none of our processes, and that
	// the host gave to others, from 0 to 1.
	Foreign float64 `json:"foreignShare"`
	Steal   float64 `json:"stealShare"`
	// Load1 is the load average of the last minute.
	Load1 float64 `json:"load1"`
}

// CPU is processor time in seconds, by process.
type CPU struct {
	Client            float64 `json:"client"`
	APIServer         float64 `json:"apiserver"`
	Etcd              float64 `json:"etcd"`
	ControllerManager float64 `json:"controllerManager"`
}

// Total is the time of all processes.
func (c CPU) Total() float64 { return c.Client + c.APIServer + c.Etcd + c.ControllerManager }

// Probe is the foreground while a peer ran, or while none did.
type Probe struct {
	Round int `json:"round"`
	// Peer that ran meanwhile; Idle for none.
	Peer string `json:"peer"`
	// Reads and Writes are latencies in milliseconds.
	Reads  []float64 `json:"readMilliseconds"`
	Writes []float64 `json:"writeMilliseconds"`
}

// Idle stands for no peer.
const Idle = "idle"

// Memory is the peak of one migration against a server that has only metadata.
type Memory struct {
	Objects int     `json:"objects"`
	Peak    int64   `json:"peakBytes"`
	Wall    float64 `json:"wallSeconds"`
	// Client is processor time of the migration's process, in seconds.
	Client float64 `json:"clientCPUSeconds"`
}
