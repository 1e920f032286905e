// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// RevisionHistory is what `history` found: the configurations that the control-plane nodes keep. It holds no key.
type RevisionHistory struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Cluster is the cluster that was asked.
	Cluster Cluster `json:"cluster"`
	// Summary is one sentence: do the nodes use the same configuration, and could all of them be asked?
	Summary string `json:"summary"`
	// Complete is true if every node has told all that it keeps.
	Complete bool `json:"complete"`
	// Digest is the configuration in the files of all nodes, empty if they differ or one did not tell.
	Digest string `json:"digest,omitempty"`
	// Nodes are the control-plane nodes.
	Nodes []NodeHistory `json:"nodes"`
}

// NodeHistory is what one node keeps.
type NodeHistory struct {
	Name string `json:"name"`
	// Digest is the configuration in the node's file, empty if there is none or it can't be read.
	Digest string `json:"digest,omitempty"`
	// Message says why the node could not be asked, or what is wrong with its file or its history.
	Message string `json:"message,omitempty"`
	// Revisions, the newest first. One without a number is the file itself, where no revision has its bytes.
	Revisions []Revision `json:"revisions"`
}

// Revision is one configuration that a node keeps.
type Revision struct {
	// Number on this node, 0 for a file that is in no revision.
	Number int `json:"number"`
	// Time is when it was kept, by the node's clock.
	Time *metav1.Time `json:"time,omitempty"`
	// Run is the command that has put it there.
	Run    string `json:"run,omitempty"`
	Digest string `json:"digest"`
	// Current is true of the configuration that is in the node's file.
	Current bool `json:"current"`
	// LackingOn are the nodes that were asked and do not have it, neither as a revision nor in their file.
	LackingOn []string `json:"lackingOn,omitempty"`
	// Understood is false if it is not known what the configuration does.
	Understood bool `json:"understood"`
	// WriteKeys are the keys that write, none where everything is in plaintext.
	WriteKeys []KeyRef `json:"writeKeys"`
	// ReadKeys are the others.
	ReadKeys []KeyRef `json:"readKeys"`
	// Resources that it encrypts, as written.
	Resources []string `json:"resources,omitempty"`
}

// DeepCopyObject implements runtime.Object.
func (h *RevisionHistory) DeepCopyObject() runtime.Object { return deepCopy(h) }
