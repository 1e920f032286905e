// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package project holds the names by which the program is known, each in one place.
//
// Everything that carries the plugin's name (usage texts, user agent, field manager, labels, file names,
// completion, manifests) derives from Plugin, so a change of name is a change of one line.
package project

const (
	// Plugin is the word after kubectl.
	Plugin = "encryption"

	// Name is the name of the program and of everything it leaves in a cluster or on a node for a while.
	Name = "kubectl-" + Plugin

	// Command is the command as its users type it.
	Command = "kubectl " + Plugin

	// Module is the path of the Go module.
	Module = "github.com/kubectl-encryption/kubectl-encryption"

	// AgentImage is the repository of the agent's image. The digest is compiled in, see package version.
	AgentImage = "ghcr.io/kubectl-encryption/encryption-agent"

	// FieldManager is the field manager of every request that writes. It never owns a field.
	FieldManager = Name

	// LabelName and LabelRun mark every object of ours.
	LabelName = "app.kubernetes.io/name"
	// LabelRun carries the identifier of the run that made an object.
	LabelRun = Name + "/run"
	// LabelNode carries the name of the node that an agent works on.
	LabelNode = Name + "/node"

	// LabelComponent tells agents and guards apart.
	LabelComponent = "app.kubernetes.io/component"

	// Namespace is where Jobs, the Lease and the ledger live.
	Namespace = "kube-system"

	// NodeHistoryDir is the folder on a control-plane node that keeps superseded configurations, root only.
	NodeHistoryDir = "/etc/kubernetes/" + Name

	// NodeManifestDir is the folder of a control-plane node's static pods
	// (k8s.io/kubernetes@v1.37.1 cmd/kubeadm/app/constants/constants.go).
	NodeManifestDir = "/etc/kubernetes/manifests"
	// APIServerManifest is the file in it that runs kube-apiserver.
	APIServerManifest = "kube-apiserver.yaml"

	// DefaultConfigDir is where enable puts the EncryptionConfiguration on a node.
	DefaultConfigDir = "/etc/kubernetes/encryption"
	// ConfigFile is the file's name in it.
	ConfigFile = "config.yaml"

	// Guard is the static pod that edits a node's kube-apiserver manifest and watches over the edit.
	Guard = Name + "-guard"
)
