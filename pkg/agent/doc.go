// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package agent works on one control-plane node, as a short-lived process beside kube-apiserver: it tells what
// encryption configuration the node has, computes the next one, and puts a sealed one in its place.
//
// It speaks agentapi over a reader and a writer, sees two folders of the node, or three with that of the manifests, and
// nothing else of it, and needs no capability. It needs no network either, but to count what etcd holds: then it sees the
// configuration's folder and the files by which kube-apiserver reaches etcd, can write nowhere, and asks etcd alone. Where it searches
// the files of etcd it sees these alone.
//
// What edits the manifest of a kube-apiserver is a Guard, in a static pod of its own: it has to work while there is no API
// server, when the agent and the plugin are gone, and after a reboot. The agent prepares the edit and puts the guard's
// manifest in place; see Server.editManifest and Guard for what happens if either dies at any point.
//
// Invariants:
//
//   - The configuration file is whole at every instant: the old bytes or the new ones, whatever happens between two
//     system calls (see installation.run for the order of them and why).
//   - What was on the node stays in its history, root only: the newest KeepRevisions, and any older one as long as it has a
//     key that no newer one has.
//   - The manifest of the kube-apiserver is whole at every instant too, and nothing replaces one that somebody else has
//     changed. Once it is edited, all that is needed to put it back is on the disk.
//   - The number of a key is never given twice on a node, also after the history has forgotten the key.
//   - Nothing of a value that etcd holds leaves the node but what it says of its key.
//   - Nothing that it prints holds key material: errors are in the agent's own words, never those of a library that
//     may quote what it read.
package agent
