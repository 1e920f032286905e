// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package snapshot reads the values of an etcd from a file, offline and without changing it: a snapshot (etcdctl snapshot save)
// or the db file of a member that is stopped. Both are one bbolt database; a snapshot has its SHA-256 behind it.
//
// The file is not trusted: it may be cut, damaged or made by somebody. bbolt itself maps a file into memory and follows
// the offsets in it without looking (go.etcd.io/bbolt@v1.5.0 db.go, page; internal/common/unsafe.go, UnsafeByteSlice), which
// ends the process on such a file (etcd-io/bbolt issue 1225). Hence a reader of its own, with these rules:
//
//  1. Every offset and length is compared with what holds it before it is used. What does not fit is ErrDamaged.
//  2. A walk reads no more pages than the file has, goes no deeper than maxDepth, and wants every key to be beyond the one
//     before. A tree that is one passes all three; one that loops or shares pages fails one of them.
//  3. No page, with what overflows from it, is larger than maxRun, so that memory is bounded: two such buffers
//     while one of them grows, and one of maxBranch for each level.
//  4. The keys and values of a page together are not larger than the page: nothing is handed out twice.
//  5. The file is read with ReadAt. A file that is cut while it is read is an error and no signal.
//  6. A commit of bbolt writes one of the two meta pages, and pages that the commit before it still used are written to only
//     after that. So both are read again, now and then and at the end: a file that was written to meanwhile is ErrChanged,
//     whatever was found in it.
//  7. The hash of a snapshot that does not fit is ErrAltered unless the caller wants to read on. etcd refuses such a file, too.
//
// The values are in the bucket "key", by revision and not by key; for each change one record, until compaction takes it
// away. The latest value of a key is found so:
//
//  8. The bucket is read backwards. The first record of a key is its latest; if that is a tombstone, the key has none.
//  9. The keys that were seen are kept as 16 bytes each of a SHA-256 with a random seed: no file can be made such that two
//     keys are taken for one, or that they gather in one part of the hashes (rule 10).
//  10. There is room for maxKeys of them, 32 MiB. If a key does not fit, the part of the hashes that is looked at is halved, and
//     the other half is gone over in another pass, from where it was left; so often that each part fits. Each record
//     is handed out once, in no order that is promised.
//
// Sources of the format, of the file: go.etcd.io/bbolt@v1.5.0 internal/common/page.go, meta.go, bucket.go and inode.go
// (pages, their elements, inline buckets), db.go getPageSize and meta (which of the two meta pages counts), tx.go WriteTo (what a
// snapshot holds). Of the hash: go.etcd.io/etcd/server/v3@v3.7.0 etcdserver/api/v3rpc/maintenance.go, Snapshot. Of the records:
// storage/mvcc/revision.go, storage/schema/bucket.go and storage/mvcc/kvstore.go, restore, there, and
// go.etcd.io/etcd/api/v3@v3.7.3 mvccpb/kv.proto. Numbers are in the byte order of the machine that wrote the file; a file of a
// big-endian one (s390x) is refused.
package snapshot
