// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// RepairPlan is what `repair --dry-run` would do.
type RepairPlan struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Cluster Cluster `json:"cluster"`
	// Agreed is what every node has in the end, empty if a node that can't be looked at keeps the others from one write key.
	Agreed []AgreedRule `json:"agreed,omitempty"`
	// Nodes are the control-plane nodes that could be looked at.
	Nodes []RepairNode `json:"nodes"`
	// Silent are those that could not.
	Silent []SilentNode `json:"silent,omitempty"`
	// Steps that are left, none if there is nothing to repair.
	Steps []PlanStep `json:"steps"`
	// Warnings are what the operator should think about first.
	Warnings []string `json:"warnings,omitempty"`
}

// AgreedRule is one entry of the configuration that the nodes agree on.
type AgreedRule struct {
	Resources []string `json:"resources"`
	// Keys in the order in which they are tried. The first one writes; provider identity is plaintext.
	Keys []KeyRef `json:"keys"`
}

// RepairNode is how the file of a node compares with what is agreed.
type RepairNode struct {
	Name string `json:"name"`
	// Digest of the file, empty if there is none.
	Digest string `json:"digest,omitempty"`
	// Agreed: the file is as agreed.
	Agreed bool `json:"agreed"`
	// Unusable is why the file can't be used.
	Unusable string `json:"unusable,omitempty"`
	// Lacks are keys that the file does not have.
	Lacks []KeyRef `json:"lacks,omitempty"`
	// Writes are its write keys, where the agreed ones are others.
	Writes []KeyRef `json:"writes,omitempty"`
	// Loaded is the digest that the kube-apiserver has loaded, where that is not the file's.
	Loaded string `json:"loaded,omitempty"`
}

// SilentNode is a control-plane node that no agent can be started on, or whose kube-apiserver can't be asked.
type SilentNode struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
	// Commands mend it by hand, if its file is the reason.
	Commands []string `json:"commands"`
}

// DeepCopyObject implements runtime.Object.
func (p *RepairPlan) DeepCopyObject() runtime.Object { return deepCopy(p) }
