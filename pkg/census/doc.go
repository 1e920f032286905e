// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package census counts what is stored, by the key that each value names, and says what that comes to. It is pure, and sees no
// value: only what a value says of itself (stored.Mark), what came of opening it, and the name of its object.
//
// The rules of counting:
//
//  1. What is expected of a resource is what the configuration that is loaded does with it: its rule's first key writes,
//     identity for plaintext, and plaintext too where no rule covers it. Each value has one State by that:
//     under the write key it is Current, under another key of the rule Stale, under a key that the rule lacks Missing,
//     whether another rule has it or not: kube-apiserver looks in no other. Plaintext that is not expected is Plaintext,
//     whether the rule reads it or not; Readable tells. Unknown and Undecodable name no key that a configuration could have, and
//     a damaged value is Undecodable, whatever key it names.
//  2. With keys at hand the answer is that of opening the value: Undecryptable is what the key that it names does not open.
//     What names no key and is no object either is Undecodable, as without keys.
//  3. A key is told by provider and name, as kube-apiserver does. For KMS that is the plugin: whether the key that the plugin
//     used is still the one that it writes with is not known here, so a value under an older key of a plugin is Current. The id
//     of the plugin's key is counted apart, for whoever wants to know which keys a backup needs.
//  4. Every value under a resource's prefix counts, also under a key that no object can have (a stray): kube-apiserver reads
//     it when it lists the resource, and needs the key for it.
//  5. Memory is bounded whatever is stored: a resource has 256 groups at most (MaxGroups), a group so many names as were asked
//     for, and a name 512 bytes. What is beyond is added up in one group for each State (Others). The groups that are kept are
//     the first by their order, and so are the names: nothing depends on the order of counting, and Merge is associative and
//     commutative.
//  6. A survey expects nothing: no configuration says how a resource is to be stored, or nobody knows which resource it is. Its
//     values are Unjudged, but for those that no configuration could read.
//
// The rules of the verdict:
//
//  7. Clean is said only if every value that was counted is Current and every resource was counted whole. A value that is not
//     is Found, whatever else was not counted; what is neither is Unproven, an Unjudged value among what was to be judged
//     as well.
//  8. A share is cut, never rounded up: it is 100% only of all, and never 0% of something.
//  9. A key is used by nothing only if no rule writes with it, no value of any State names it, no group was added up to Others,
//     and all resources were counted whole (*.*): one that has lost its rule may still have values of the key.
//
// Names of objects and keys are what somebody wrote into etcd. Here they are text that can be printed: a byte that is no UTF-8 is
// spelled \xff, what steers a terminal or can't be seen \x1b or \u202e, a backslash \\.
package census
