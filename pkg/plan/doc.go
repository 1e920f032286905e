// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plan decides what comes next. It is the heart of the program and pure: values in, values out.
//
// Next looks at what is observed now and at the goal, and gives one step. The step is carried out, everything is
// observed again, and Next is asked again, until it says Done. No stage is remembered: a program that was killed
// between any two instructions and started again sees what is there and goes on from it.
//
// The rules that every step obeys, in the order in which Next looks at them:
//
//  1. What is not fully known is refused: a node without a readable configuration, a configuration that is not
//     understood, an instance that has loaded something that no node explains.
//
//  2. Every instance proves first that it has loaded the configuration of its own node. Until then: Await.
//
//  3. All nodes get the same configuration before anything else happens. Two configurations may differ by one
//     change of ours, half carried out, as the nodes' own histories show; it is finished (or, on the way back,
//     undone). Anything else, a hand edit above all, is refused.
//
//  4. A new key becomes a read key everywhere, and every instance proves it, before it becomes the write key
//     anywhere. With one instance in the whole cluster there is nobody to disagree: it becomes the write key at once.
//
//  5. Baselines are recorded after every instance has proven the write key, and before anything is migrated.
//
//  6. A key leaves the configuration last: it writes nothing, a finished migration has proven that nothing stored
//     needs it, that migration is old enough for superseded revisions to be gone, and retention does not keep it.
//     A key that etcd was seen to hold a value under stays, whatever the record says. The write key and the one
//     before it always stay.
//
//  7. The way back (abort) is open exactly while nothing can have been written with the new key: no configuration
//     on any node, now or before, has ever had it as write key, and every node's history shows it to be ours.
//
//  8. Flags are set on one node at a time, and never on two whose kube-apiservers are not ready and proven in between.
//     They are set when every node has a file that has identity as write key (or that others read already), and no key
//     is promoted before they are set everywhere: an instance without them reads plaintext alone. The guard of an
//     earlier edit ends first. A file that encrypts and that nobody reads gets identity as write key before that.
//     kubeadm's own configuration follows, so that an upgrade keeps the flags.
//
//  9. Flags are removed when nothing is encrypted any more: identity writes everywhere, a finished migration has
//     proven that no encrypted value is left, and superseded revisions are gone. kubeadm's configuration comes first,
//     so that no node joins with flags that the others lose. They stay while etcd is seen to hold an encrypted value;
//     the plan then ends without their removal, since waiting changes nothing.
//
//  10. What etcd holds is counted after the migration, and before anything is taken away that a stored value could need
//     (rules 6 and 9). The count is no record: a run that was killed counts again. Where etcd can't be counted, the
//     migration's proof by baselines stands alone. A count that contradicts a migration voids its record, so that rules
//     5 and what follows apply anew; the caller does that once, and so the plan ends.
//
//  11. A key that comes back (rollback) is one that is in the configuration, or else in the history of a node, by its
//     fingerprint: then that node adds it as a read key first, as it would a new one. A name that stands for two keys anywhere
//     is refused. Newer keys stay behind it as read keys, and are no rotation that has begun: what has written never was one.
//
//  12. Keys that are dropped by name write nothing in any rule, those that encrypt nothing included. That nothing needs them
//     is proven before, and not decided here.
//
//  13. A node may be left out whose kube-apiserver does not serve (package controlplane says what shows that). It comes
//     back as it was, and may then write as its file says. So the others go on reading what it may write: while it is
//     left out no key leaves, no key is taken back, and flags are not removed; and a new key becomes a read key
//     first, also where one instance is left. What it can't read then is not what the plan can see to: it is for repair.
//
// Identity is a key in all of this: encrypting nothing any more is a rotation to it, and the keys before it stay as
// read keys.
//
// The model is library-go's statemachine (github.com/openshift/library-go pkg/operator/encryption/statemachine):
// one change per roll-out, each waited for.
package plan
