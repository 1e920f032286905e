// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agentapi

import (
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"
)

// Where the Job mounts the files by which kube-apiserver reaches etcd. Those that it is not given are not there.
const (
	EtcdCA   = "/host/etcd/ca.crt"
	EtcdCert = "/host/etcd/client.crt"
	EtcdKey  = "/host/etcd/client.key"
)

// MaxWithin is how long an agent goes on counting for one request at most.
const MaxWithin = 45 * time.Second

// Counting asks to count values in etcd. Long ones are cut into several requests, each of which takes Next and Revision of
// the answer before as From and Revision.
type Counting struct {
	// Resource to count. Without a name it is every resource in the etcd, each by itself.
	Resource etcdkey.Resource `json:"resource"`
	// Prefix, Servers and Overrides are kube-apiserver's flags as given, see etcdkey.NewLayout.
	Prefix    string   `json:"prefix"`
	Servers   []string `json:"servers"`
	Overrides []string `json:"overrides,omitempty"`
	// Config is the digest that the node's configuration must have, by which is counted. Empty for none: then everything is to
	// be stored in plaintext.
	Config string `json:"config,omitempty"`
	// Decrypt has each value opened with the keys of the configuration.
	Decrypt bool `json:"decrypt,omitempty"`
	// From is the key to begin at, empty for the first one.
	From []byte `json:"from,omitempty"`
	// Revision of etcd to read, 0 for the newest.
	Revision int64 `json:"revision,omitempty"`
	// Names is how many names of each group are told, census.AllNames for all of them.
	Names int `json:"names"`
	// MaxRate is in values per second, 0 for no limit.
	MaxRate float64 `json:"maxRate,omitempty"`
	// Within is how long the agent goes on for this request, MaxWithin at most.
	Within time.Duration `json:"within,omitempty"`
}

// Counted is what was counted for one request: numbers and names, nothing else of any value.
type Counted struct {
	// Tallies are one for each resource that was met, or that was asked for. If every resource was asked for, one without a
	// name is of the keys that belong to none that is known.
	Tallies []census.Tally `json:"tallies,omitempty"`
	// Next is where to go on, unless it is Done.
	Next []byte `json:"next,omitempty"`
	Done bool   `json:"done,omitempty"`
	// Revision that was read last.
	Revision int64 `json:"revision"`
	// Count is how many values were read.
	Count int `json:"count"`
	// Compactions is how often a revision was compacted before it was read to its end: what was written meanwhile behind
	// the place that was reached is not counted.
	Compactions int `json:"compactions,omitempty"`
}
