// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package svm has the cluster's own StorageVersionMigration controller migrate a resource, and proves the result.
//
// The controller runs in kube-controller-manager since Kubernetes 1.37 (k8s.io/kubernetes@v1.37.1
// pkg/controller/storageversionmigrator). It is told what to do by an object of storagemigration.k8s.io/v1 and sends
// a no-op merge patch for each object of the resource that its cache holds. Package migrate says why that makes
// kube-apiserver store an object with the key that writes now. The rules here:
//
//  1. The StorageVersionMigration is made after the baseline was taken. The controller asks for all objects that are
//     not later than a resourceVersion that it takes then (resourceversion.go), so for all that may be stale.
//  2. The controller's word is not the proof. It takes every answer 404 and 409 for done, also where a webhook gave it
//     (storageversionmigrator.go, runMigration), and it says nothing about objects that were current already. So a
//     list of metadata counts what is not later than the baseline after it has ended, and the own engine asks about
//     that: about nothing, as a rule, and about each object that was current before and is not later than the
//     baseline. Report.Complete is the engine's finding.
//  3. One StorageVersionMigration of a resource runs at a time, the oldest first (migrationrunner.go). Somebody
//     else's that has not ended is waited for; it is neither changed nor removed.
//  4. The controller begins when the garbage collector's cache has reached the resourceVersion of rule 1. In a cluster
//     in which nobody writes to the resource, a bookmark brings that about within a minute or so, and the controller,
//     which looks again after ever longer times, notices up to as much later. That is no hang.
//  5. The controller tells how far it is only when something goes wrong or it is done. Progress is counted in
//     metadata, in at most a twentieth of the time.
//  6. The first answer that is neither of rule 2 nor passing ends the controller's run (isRetriableError), and its
//     message need not name the object. The object is then found by dry run: the own engine asks about the stale ones
//     with dryRun=All, which runs admission and validation and stores nothing. After an error 500 the controller tries
//     again for good, also where that never passes: a webhook that does not answer, an object that can't be decrypted.
//     The object is looked for in the same way after a minute, and the run ends when nothing has moved for long.
//  7. The StorageVersionMigration is removed however it ended, also after an interrupt, but not before the controller
//     has let go of it: of a custom resource, it then still has to put down in the CustomResourceDefinition that the
//     migration is over. A removal does not stop the controller: it goes on with the objects that it has read.
//  8. What the server said about an object may quote the object, so of the controller's messages only those are
//     repeated that are known not to.
//
// What the own engine does and the controller does not: it skips a failed object and goes on, follows latency, uses
// several instances, and leaves alone an object whose deletion waits for nothing, which any write completes. The
// controller's writes come from a service account of kube-system, which priority and fairness puts before those of
// other users.
package svm
