// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package verify finds out from the bytes in etcd what is stored under which key, of a live cluster (Online) or of a file
// (Offline), and says what that comes to (Assess).
//
// The rules of a file:
//
//  1. Nothing is asked but the file: which resource a key is of follows from the key alone. What can't be told so is counted
//     apart (Unfamiliar), and nothing is proven of resources that it may be of.
//  2. A file that has nothing under the prefix that a kube-apiserver would write there is an error, not a file that has nothing
//     wrong in it. A resource that was asked for by name, and of which it has nothing, is a doubt.
//  3. Without a configuration nothing is judged: the result is which keys the values need. With one, each value is judged by
//     what the configuration does with its resource, and tried to be opened if that is wanted.
//  4. Keys of a configuration are in the memory of this process then, and nowhere else. No byte of a key or of a value is in a
//     result or an error.
//
// The rules of an assessment:
//
//  5. The sentence is about what a rule of the configuration covers, what was asked for by name, and all that is not as it should
//     be. What nobody asked for and is in plaintext, as it should be, is summed up in a note.
//  6. Without a configuration a live cluster is to be in plaintext, and is all the same not what was hoped for: Found.
//  7. Hints name the next command. What deletes is told last, and only where no key can help: of what is damaged, and of what is
//     under a key that no node has, if every node could be asked.
//  8. With a doubt, such as a kube-apiserver that has loaded something else, nothing is Clean and no key is unused. One that does
//     not tell what it has loaded (before Kubernetes 1.34) is a doubt unless its node's file is the one that was judged by and it
//     has read it since that was written (package reload).
package verify
