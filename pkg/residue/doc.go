// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package residue finds what is left of stored values in the files of a member of etcd: superseded revisions, pages that are
// free and not yet written to again, the write-ahead log. It is pure: it looks at bytes, and counts what they say of their keys.
//
// A member that runs writes to its file ten times a second, so the file's tree can't be walked (package snapshot:
// ErrChanged), and what is left in free pages is in no tree. So records are carved out of the bytes, wherever they are:
//
//  1. A record begins with its key, which begins with the root of kube-apiserver's keys ("/registry/"). Around it stands what
//     protobuf puts there: before it the tag of field 1 and the length, behind it the fields of a record. In a database that is
//     mvccpb.KeyValue: create_revision, mod_revision, version, value (go.etcd.io/etcd/api/v3@v3.7.0 mvccpb/kv.proto); in a log
//     etcdserverpb.PutRequest: value (etcdserverpb/rpc.proto there). Both are written in the order of their numbers, each in
//     one piece: a value of several pages runs over them without headers between (go.etcd.io/bbolt@v1.5.0
//     internal/common/page.go), an entry of the log is framed as a whole
//     (go.etcd.io/etcd/server/v3@v3.7.0 storage/wal/encoder.go).
//  2. A record counts if its value begins as one that kube-apiserver has written (stored.Mark), encrypted or not. Of the value no
//     more than the first 512 bytes are looked at, so nothing is said of whether it is whole: what begins a value is
//     enough to call it a remnant. A value of which the beginning was written over and the end was not is not found.
//  3. What is found is a copy. One and the same record may be there many times: bbolt writes a page anew for each change of
//     it, and the log has each once more.
//  4. In a database a copy is Superseded if its revision is above the compacted one. If not, it is Freed, but for one copy of each
//     value that could be read at the compacted revision: compaction keeps these (go.etcd.io/etcd/server/v3@v3.7.0
//     storage/mvcc/index.go, Compact), also if they were superseded since. The bytes don't tell them apart; a count of etcd at that
//     revision does, by their number (Apart). What is stored now is among the copies: whoever calls them old must
//     know how many values are stored under such a key now.
//  5. A copy is old if it is not under the key that the resource is stored with now, by the rules of package census.
//     kube-apiserver's own bookkeeping, and keys of which it can't be told what resource they are of, are not looked at.
//  6. Any bytes are taken. Memory is bounded whatever they are: no value is kept, and all counters together have Room for resources and
//     keys. What comes when that is used up is counted by its state alone (Rest), so a flood of made-up keys hides no old
//     copy. Whoever may write to etcd can write a value that looks like a record within, and so make a
//     copy be counted that is none; nothing makes a whole copy be passed over.
package residue

// Form is how a file holds records.
type Form string

// The forms (rule 1).
const (
	Database Form = "database"
	Log      Form = "log"
)

// Place is where a copy was found.
type Place string

// The places.
const (
	// Superseded is in the database, at a revision that is not compacted.
	Superseded Place = "superseded"
	// Freed is in the database, at a revision that is: what compaction and rewriting have left in its pages.
	Freed Place = "free-pages"
	// Beside is in a file beside the database: one that a leader has sent, or that an interrupted defragmentation has left.
	Beside Place = "other-files"
	// Logged is in the write-ahead log.
	Logged Place = "log"
)

// places are all places, in the order of a table.
func places() []Place { return []Place{Superseded, Freed, Beside, Logged} }
