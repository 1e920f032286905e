// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agentapi

import (
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/residue"
)

// Searching asks for what is left of values in the files of the node's member of etcd. It is cut into several requests, each of
// which takes Next and Compacted of the answer before as From and Compacted.
type Searching struct {
	// Prefix is kube-apiserver's flag --etcd-prefix as given, see etcdkey.NewLayout.
	Prefix string `json:"prefix"`
	// Config is what is judged by. It is sent, so that the agent needs no file of the node but etcd's.
	Config encconfig.Description `json:"config"`
	// Resources are those to look for, written as in a configuration, wildcards included.
	Resources []string `json:"resources"`
	// From is where to begin, the zero value for the beginning.
	From Position `json:"from,omitzero"`
	// Compacted is the revision up to which etcd was compacted when the search began, 0 to have it read.
	Compacted int64 `json:"compacted,omitempty"`
	// Within is how long the agent goes on for this request, MaxWithin at most, and if it is 0.
	Within time.Duration `json:"within,omitempty"`
}

// The folders of a member: that of its database and that of its log.
const (
	SnapFolder = "snap"
	WALFolder  = "wal"
)

// Position is a place in the files of a member.
type Position struct {
	Folder string `json:"folder"`
	Name   string `json:"name"`
	// Offset in bytes, 0 for the whole of the first file that is not before Name.
	Offset int64 `json:"offset,omitempty"`
	// Inode of the file that the offset is of.
	Inode uint64 `json:"inode,omitempty"`
}

// Searched is what was found for one request: numbers, and what values say of their keys.
type Searched struct {
	Counts []residue.Count `json:"counts,omitempty"`
	// Next is where to go on, unless it is Done.
	Next Position `json:"next,omitzero"`
	Done bool     `json:"done,omitempty"`
	// Compacted is that of the request, or the one that was read.
	Compacted int64 `json:"compacted"`
	// Read is how many bytes were searched for this request, Size how many there are in all files now.
	Read int64 `json:"read"`
	Size int64 `json:"size"`
}
