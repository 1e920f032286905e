// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package staticpod reads and edits the manifest by which a kubelet runs kube-apiserver.
//
// Enable puts in what makes kube-apiserver read and reload an encryption configuration, Disable takes it out. Both
// leave every other byte as it is, comments, order and line endings (LF or CRLF) included, change nothing that is as
// it should be, and refuse a manifest that they do not fully understand. Enable makes no change that Disable does not
// undo byte for byte.
//
// The package is pure: text in, text out. It imports nothing of Kubernetes, since the agent on a node uses it. What it
// takes from a manifest agrees with what package controlplane takes from the pod that the kubelet shows.
package staticpod
