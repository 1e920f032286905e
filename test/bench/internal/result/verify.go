// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package result

import "github.com/kubectl-encryption/kubectl-encryption/test/bench/internal/machine"

// VerifyResults is what a run of `bench verify` has measured, as it is kept in verify.json.
type VerifyResults struct {
	// Date of the run, in UTC, as in RFC 3339.
	Date string `json:"date"`
	// Seed of the order of the readers and of the intervals.
	Seed     uint64        `json:"seed"`
	Machine  machine.About `json:"machine"`
	Versions Versions      `json:"versions"`
	// Size is that of an object in bytes, before it is encrypted.
	Size     int       `json:"sizeBytes"`
	Readings []Reading `json:"readings"`
}

// The readers. All of a round read the same values.
const (
	// ReaderAgent is the agent, as `verify` asks it; the others of its name open each value, or tell the name of each.
	ReaderAgent        = "agent"
	ReaderAgentDecrypt = "agent-decrypt"
	ReaderAgentAll     = "agent-all"
	// ReaderClient2000 and ReaderClient10000 page the same range with a bare client of etcd, so many values at a time, and keep
	// nothing. kube-apiserver itself takes 10,000 at most (k8s.io/apiserver@v0.37.2 pkg/storage/etcd3/store.go, maxLimit).
	// Smaller pages are slower: for each of them etcd counts what is left of the range.
	ReaderClient2000  = "client-2000"
	ReaderClient10000 = "client-10000"
	// ReaderOffline is `verify --snapshot`, the other of its name with --decrypt.
	ReaderOffline        = "offline"
	ReaderOfflineDecrypt = "offline-decrypt"
)

// Reading is one reader that has read every value once.
type Reading struct {
	// Values is how many there are.
	Values int `json:"values"`
	// Round counts from 1. Only readings of the same round are compared.
	Round  int    `json:"round"`
	Reader string `json:"reader"`
	// Void says why the reading does not count; empty if it does.
	Void string `json:"void,omitempty"`

	// Wall is in seconds: of an agent from the first request to the last answer, of a client from its first connection to the
	// last page, of what reads a file that of its process.
	Wall float64 `json:"wallSeconds"`
	// Client and Etcd are processor time in seconds.
	Client float64 `json:"clientCPUSeconds"`
	Etcd   float64 `json:"etcdCPUSeconds"`
	// Peak is the most memory that the reader's process ever held (VmHWM), in bytes. Of one that reads a file, that is
	// with what the kernel has mapped of the file.
	Peak int64 `json:"peakBytes"`
	// Requests is how many an agent needed.
	Requests int `json:"requests,omitempty"`

	// Foreign, Steal and Load1 are as in Slice.
	Foreign float64 `json:"foreignShare"`
	Steal   float64 `json:"stealShare"`
	Load1   float64 `json:"load1"`
}

// Each is the processor time of reader and etcd for one value, in microseconds.
func (r Reading) Each() float64 { return (r.Client + r.Etcd) / float64(r.Values) * 1e6 }

// Rate is in values per second.
func (r Reading) Rate() float64 { return float64(r.Values) / r.Wall }
