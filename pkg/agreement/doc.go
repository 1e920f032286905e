// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package agreement finds the one configuration that control-plane nodes which differ shall have, and the way to it. It
// is pure: descriptions in, one step out. Who asks carries the step out, observes again and asks again, until it is
// Done; nothing is remembered in between.
//
// Package plan knows what a rotation of ours leaves when it stops half-way, and finishes that. This package takes nodes
// as they are: a file that is missing, damaged, older, or edited by hand.
//
// A configuration is in use if a node has it as its file, or if a kube-apiserver has loaded it. What a kube-apiserver
// has loaded is known from the hash that it reports, looked up among the files and the histories of all nodes.
//
// The rules:
//
//  1. Every key of a configuration in use can be read with the agreed one, in every rule that has keys. So can every key
//     that is in any node's history alone, unless it is newer than all write keys and neither a configuration
//     that is known nor a node's mark says that it may have written: such a key was taken back before it was used.
//
//  2. A name stands for one key. Where two configurations in use have two keys of one name, nothing tells which of
//     them a stored value needs: refused. One that is in histories alone gives way, and is named.
//
//  3. There is a rule for every resource that a configuration in use has a rule for. A resource is encrypted if any
//     kube-apiserver encrypts it.
//
//  4. Plaintext can be read wherever a configuration in use can read it, or has no rule.
//
//  5. The write key of a resource is the newest of those that the kube-apiservers write with now. A key that none of
//     them writes with, such as one that a rotation has only added yet, is not promoted.
//
//  6. No kube-apiserver is given another write key before every one of them has loaded a configuration that reads it.
//     Where that is not so yet, each node first gets all keys behind the write key that its kube-apiserver has. One of which it is
//     not known what it has loaded (before 1.34) gets the agreed file where all others write with its key already;
//     and what this repair has just put there is proven before anything else.
//
//  7. A node that can't be seen might come back with what it had: while there is one, no write key changes anywhere.
//
//  8. What is not known is refused: a kube-apiserver that has loaded what no node has, or what is not understood; a file
//     that can't be read or that another file system object stands in the place of; a provider whose keys are elsewhere.
//     A file that is not understood is replaced only where its kube-apiserver is known to have loaded another one, so
//     that nothing was ever written with what is in it alone.
//
//  9. Where all nodes have the same file, and each kube-apiserver has loaded it, there is nothing to do.
package agreement
