// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// Result is what a verification found: of a live cluster or of a file.
type Result struct {
	Census census.Census
	// Config is what it was judged by, the zero value if kube-apiserver has no configuration or none was given.
	Config encconfig.Description
	// Held are the keys that any node's configuration or history, or the given one, holds; nil if nobody was asked.
	Held   []encconfig.Key
	Source Source
	// Notes are what a reader must know: a revision that was compacted meanwhile, ranges that were not looked at.
	Notes []string
	// Doubts keep what was counted from being proof of what is stored (rule 8); they are notes besides.
	Doubts []string
	// Everything is that no resource was asked for by name: what no rule is about is no matter of the verdict then, as long as it
	// is as it should be.
	Everything bool
	// Decrypted is that the values were opened, and not only looked at.
	Decrypted bool
	// Residue is what is left of old values on the disks, nil unless it was asked for.
	Residue *Residue
}

// Source says where the values were read.
type Source struct {
	// Node and Endpoint are of a live cluster: the node that the agent ran on, and the etcd that answered it.
	Node, Endpoint string
	// Revision is that of etcd: the one that was read, or the highest in the file.
	Revision int64
	// File is the path of a snapshot or of a db file.
	File string
	// Hash is whether a file is as etcd sent it: fits, altered or absent.
	Hash string
	// Time is when it was read.
	Time time.Time
}

// surveyed tells that there was nothing to judge by. A live cluster without a configuration is to be in plaintext, which is
// something.
func (r Result) surveyed() bool { return r.Source.File != "" && r.Config.Digest == "" }

// bare tells that it is a live cluster without any encryption configuration.
func (r Result) bare() bool { return r.Source.File == "" && len(r.Config.Rules) == 0 }
