// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package etcdspace tells whether etcd has room for what a migration writes, before it and while it runs.
//
// A member of etcd whose file would grow over its quota refuses every write of the whole cluster (the alarm NOSPACE), also
// the one that kube-apiserver has to make before it compacts: such a cluster does not recover by itself. Hence these
// rules, which Decide, a pure function, and Watch follow:
//
//  1. A rewrite keeps the old value until etcd is compacted, which kube-apiserver sees to every 5 minutes, and may find
//     one interval late. What is stored again adds 1.5 times its size to the bytes in use (Amplification); with a limit
//     of the rate, no more than what is written within two intervals.
//  2. Compaction makes pages free and leaves the file as large as it is; what is written then goes to free pages first.
//     So the bytes in use tell how much room there is, and 20 % of the quota must stay free by them (Reserve).
//  3. The quota itself is compared with the file (go.etcd.io/etcd/server/v3@v3.7.0 storage/quota.go, Available; the same
//     in v3.5.21 etcdserver/quota.go and v3.6.4). A file over 95 % of it (FullFile) is one scattered write away from
//     the alarm, whatever is free inside, and only a defragmentation makes it smaller.
//  4. Each member has a file and a quota of its own. The one with the least room decides.
//  5. What is written until the next reading, and what then is in flight, can't be called back. So while a migration runs the
//     members are read every 2 seconds (Interval), and one that would be full after the next two readings, at the pace that it
//     has, holds the migration up as a full one does (judge).
//  6. What is not known is said to be unknown, with the reason, and never guessed. Only the size of a resource has a
//     bound: no resource is larger than all bytes that are in use.
//
// The figure of rule 1 is a mean as well. Rewrites in an etcd 3.7.0 added 1.42 times the stored size at 0.4 KiB, 1.55 at
// 1.3 KiB, 1.11 at 16 KiB, 1.01 at 256 KiB; since a page of 4 KiB holds whole values, one that just misses half a page can
// take twice its size. And the mean size of an object stands for all of them: a rate that fits may still meet many large
// objects in a row. That is what the reserve is for, and Watch, which reads the members again and again and holds the
// migration up.
//
// Rule 5, measured with an etcd 3.7.0, a quota of 192 MiB, Secrets of 256 KiB and a compaction every 30 s: at 2.4 MB/s, with half
// of the quota live, a migration was held at 76 to 78 % in use, and the file came to 90 % of the quota, with 5 points of it
// added while nothing was written; at 11 MB/s, with a fifth of it live, it was held at 57 to 69 %, and the file came to 83 %.
// Read every 10 s and without looking ahead, the same etcd had gone from 79 % to 90 % in use between two readings, and its
// file to 103 %, so that the alarm NOSPACE was raised.
//
// There is no pace yet in the first interval of a migration and in that after a pause: what is written in it, in a member that
// was just not full, comes out of the reserve.
//
// The alarm itself is not read. Its one metric, etcd_debugging_server_alarms, is not there in 3.5, counts each time that the
// alarm is raised again, and is gone after a restart of etcd while the alarm stays (go.etcd.io/etcd/server/v3@v3.7.0
// etcdserver/apply/backend.go, Alarm). A file that has passed the quota means that the alarm is raised, or will be by the next
// write; then etcd refuses writes also after a defragmentation, until somebody calls etcdctl alarm disarm.
package etcdspace
