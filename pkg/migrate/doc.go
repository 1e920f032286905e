// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package migrate makes kube-apiserver store every object of a resource again, with the key that writes now.
//
// It reads metadata only and writes nothing but no-ops: no data of an object ever reaches this program. Why a run
// that ends with Report.Complete leaves nothing behind, and harms nothing:
//
//  1. A no-op write of a value that is stored with another key than the write key makes kube-apiserver store it
//     again: the object gets a new resourceVersion. A no-op write of a current value stores nothing and the
//     resourceVersion stays. Either is judged on etcd's own bytes, never on a cache alone
//     (k8s.io/apiserver@v0.37.2 pkg/storage/etcd3/store.go, GuaranteedUpdate). The answer is the receipt.
//  2. The baseline is a resourceVersion taken after every kube-apiserver has proven that it writes with the write
//     key, and after the writes in flight have ended. Whatever has a later resourceVersion is current. A
//     resourceVersion never gets smaller, so an object that is current stays so.
//  3. An object that is not later than the baseline was not written while a list that began after the baseline
//     was read page by page, so it stands in that list: pages come in the order of the names, and no name moves.
//     This holds as well when the list outlives etcd's compaction and goes on, after 410 Expired, with the
//     server's inconsistent token: what the later state lacks is gone, and what it has in addition is later than
//     the baseline. Without such a token it begins anew and passes over the names that were reached, which comes to the same.
//     A list older than the baseline (etcd was restored) ends the run with ErrWentBack.
//  4. So every such object has been asked about and has one answer. Migrated: it is later than the baseline now.
//     Unchanged: it is current, says the server. Gone: it was deleted, and if it was made again, that was later.
//     Conflict: its last write is later than the list, hence later than the baseline. Everything else is a
//     failure, which is counted and named.
//  5. That is then observed, not only concluded: a metadata list counts the objects that are not later than the
//     baseline. They can only be the unchanged and the failed ones of the last pass, and those only get fewer.
//     If there are more, some answer was wrong, and another pass asks about all of them again; after a few such
//     passes the run ends as not complete. No list of objects is kept, memory does not grow with their number.
//  6. Nothing is created, resurrected or overwritten: every write carries the uid and the resourceVersion that
//     were listed. A server-side apply of a deleted object answers 409 because of the uid, another patch 404; all
//     answer 409 if the object was deleted and made again, or only changed (apiserver@v0.37.2
//     pkg/endpoints/handlers/patch.go, pkg/registry/generic/registry/store.go).
//  7. Nothing is changed: the patch names no field but the object's identity, so that the field manager comes to
//     own nothing. It is a server-side apply, or where that is faster and as safe a strategic merge patch (KindFor). An object without managedFields would gain some by an apply, and one whose managedFields can't
//     be decoded or whose content does not fit its schema can't be applied to: those get a JSON merge patch that
//     says as little. (Of an object with managedFields that can't be decoded, or before 1.37 be computed, that
//     drops the managedFields, as every other update of it does: apimachinery v0.36.3 and v0.37.2
//     pkg/util/managedfields/internal/fieldmanager.go, UpdateNoErrors. It is counted as altered.)
//     Webhooks see each write and may make a change of it: the answer's metadata is compared with the listed
//     metadata, and Report.Altered counts the differences.
//  8. An object whose deletion waits for nothing any more (deletionTimestamp, no finalizer, no grace period) would
//     be removed by any write. It is left alone and reported as ReasonBeingDeleted: only its owner may finish
//     that. Objects that are held by a finalizer are migrated as any other.
//  9. None of this rests on one kube-apiserver, so requests may go to several in turn (Spread). A first page is a
//     consistent read on every one of them: not earlier than the baseline, which begin checks. A continue token
//     names etcd's revision and a key, and means the same to all (apiserver@v0.37.2 pkg/storage/continue.go). A
//     precondition that a server's cache does not meet is judged once more on etcd's own bytes (GuaranteedUpdate).
//     What must hold is that all of them serve one etcd and write with the write key.
//  10. An object is asked about early, as a canary, by the very same write, and is not asked about again in that
//     pass: its answer is the answer of rule 4, and object and answer are counted once. The first object that is
//     not current is always one: nothing else is asked about before it has its answer. Those of the canary
//     namespaces come from lists that are not earlier than the baseline either.
//  11. A run that ends early (ErrTooManyFailures) begins no further write, and awaits and counts those in flight.
//     A run that can't go on, or is cancelled, cuts them short: what they did is found by the next run.
//
// How fast it goes is not part of the argument. See controller for how many writes are in flight, and pacer for what
// else they wait for.
//
// What is not proven here: that all kube-apiservers agree on the write key (it must be so before the baseline is
// taken), and that what is in etcd can be decrypted (a list may come from a cache).
package migrate
