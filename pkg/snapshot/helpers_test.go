// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/encoding/protowire"
)

// tb is what a test, a fuzz test, a benchmark and a property have in common.
type tb interface {
	require.TestingT
	Helper()
}

// put is a value that a key has had.
type put struct {
	Key, Value string
	Revision   int64
}

// change is one within a transaction: of a key to a value, or the end of it.
type change struct {
	key, value string
	deleted    bool
}

// store writes a database as etcd does, with bbolt, and knows what is in it.
type store struct {
	db      *bbolt.DB
	path    string
	main    int64
	records []stored
}

// stored is a record that was not compacted.
type stored struct {
	revision revision
	change
}

func newStore(t tb, dir string) *store {
	t.Helper()
	// As in go.etcd.io/etcd/server/v3@v3.7.0 storage/backend: config_linux.go and newBackend.
	options := &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, NoSync: true}
	path := filepath.Join(dir, "db")
	db, err := bbolt.Open(path, 0o600, options)
	require.NoError(t, err)
	s := &store{db: db, path: path, main: 1}
	s.update(t, func(tx *bbolt.Tx) {
		for _, name := range []string{"alarm", "auth", "cluster", "key", "lease", "members", "meta"} {
			_, err := tx.CreateBucket([]byte(name))
			require.NoError(t, err)
		}
		index := binary.BigEndian.AppendUint64(nil, 4711)
		require.NoError(t, tx.Bucket([]byte("meta")).Put([]byte("consistent_index"), index))
		require.NoError(t, tx.Bucket([]byte("meta")).Put([]byte("term"), binary.BigEndian.AppendUint64(nil, 7)))
		require.NoError(t, tx.Bucket([]byte("meta")).Put([]byte("confState"), []byte(`{"voters":[1]}`)))
	})
	return s
}

// newTestStore is a store that is closed after the test.
func newTestStore(t testing.TB) *store {
	t.Helper()
	s := newStore(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, s.db.Close()) })
	return s
}

func (s *store) update(t tb, write func(*bbolt.Tx)) {
	t.Helper()
	require.NoError(t, s.db.Update(func(tx *bbolt.Tx) error { write(tx); return nil }))
}

// commit makes each group of changes one transaction of etcd, and all of them one commit of bbolt.
func (s *store) commit(t tb, transactions ...[]change) {
	t.Helper()
	s.update(t, func(tx *bbolt.Tx) {
		b := tx.Bucket([]byte("key"))
		b.FillPercent = 0.9
		for _, changes := range transactions {
			s.main++
			for sub, c := range changes {
				r := revision{s.main, int64(sub)}
				require.NoError(t, b.Put(recordKey(r, c.deleted), recordValue(r, c)))
				s.records = append(s.records, stored{r, c})
			}
		}
	})
}

func (s *store) put(t tb, key, value string) {
	t.Helper()
	s.commit(t, []change{{key: key, value: value}})
}

func (s *store) remove(t tb, key string) {
	t.Helper()
	s.commit(t, []change{{key: key, deleted: true}})
}

// compact takes away what etcd would up to that revision: all but the latest record of each key, and that too if it is a tombstone. With
// at most so many records, it stops in the middle, as etcd does when it ends.
func (s *store) compact(t tb, at int64, most int) {
	t.Helper()
	latest := map[string]revision{}
	for _, r := range s.records {
		if r.revision.main <= at {
			latest[r.key] = r.revision
		}
	}
	s.update(t, func(tx *bbolt.Tx) {
		details := tx.Bucket([]byte("meta"))
		require.NoError(t, details.Put([]byte("scheduledCompactRev"), recordKey(revision{main: at}, false)))
		s.records = slices.DeleteFunc(s.records, func(r stored) bool {
			gone := r.revision.main <= at && (r.deleted || latest[r.key] != r.revision) && most > 0
			if gone {
				most--
				require.NoError(t, tx.Bucket([]byte("key")).Delete(recordKey(r.revision, r.deleted)))
			}
			return gone
		})
		if most > 0 {
			require.NoError(t, details.Put([]byte("finishedCompactRev"), recordKey(revision{main: at}, false)))
		}
	})
}

// expect is what a file of it should give.
func (s *store) expect(matches func(key string) bool) (latest, superseded []put) {
	last := map[string]stored{}
	for _, r := range s.records {
		if before, ok := last[r.key]; ok && matches(r.key) && !before.deleted {
			superseded = append(superseded, put{r.key, before.value, before.revision.main})
		}
		last[r.key] = r
	}
	for key, r := range last {
		if matches(key) && !r.deleted {
			latest = append(latest, put{key, r.value, r.revision.main})
		}
	}
	return sorted(latest), sorted(superseded)
}

// snapshot is what etcd sends: the database as of now, and its hash.
func (s *store) snapshot(t tb) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, s.db.View(func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(&b)
		return err
	}))
	return hashed(b.Bytes())
}

// file is the db file as it is now.
func (s *store) file(t tb) []byte {
	t.Helper()
	b, err := os.ReadFile(s.path)
	require.NoError(t, err)
	return b
}

func hashed(database []byte) []byte {
	sum := sha256.Sum256(database)
	return append(bytes.Clone(database), sum[:]...)
}

func recordKey(r revision, tombstone bool) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(r.main))
	b = binary.BigEndian.AppendUint64(append(b, '_'), uint64(r.sub))
	if tombstone {
		b = append(b, 't')
	}
	return b
}

func recordValue(r revision, c change) []byte {
	b := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), c.key)
	if c.deleted {
		return b
	}
	for field := range 3 {
		b = protowire.AppendVarint(protowire.AppendTag(b, protowire.Number(field+2), protowire.VarintType), uint64(r.main))
	}
	b = protowire.AppendString(protowire.AppendTag(b, 5, protowire.BytesType), c.value)
	return protowire.AppendVarint(protowire.AppendTag(b, 6, protowire.VarintType), 12345)
}

func sorted(list []put) []put {
	slices.SortFunc(list, func(a, b put) int { return bytes.Compare([]byte(fmt.Sprint(a)), []byte(fmt.Sprint(b))) })
	return list
}

// open opens a file in memory.
func open(t tb, b []byte) *File {
	t.Helper()
	f, err := New(context.Background(), bytes.NewReader(b), int64(len(b)), Options{})
	require.NoError(t, err)
	return f
}

// all is what a walk hands out.
func all(walk func(context.Context, []string, Visit) error, prefixes ...string) ([]put, error) {
	var list []put
	err := walk(context.Background(), prefixes, func(key, value []byte, revision int64) error {
		list = append(list, put{string(key), string(value), revision})
		return nil
	})
	return sorted(list), err
}

// raise writes what etcdutl snapshot restore --bump-revision does.
func (s *store) raise(t tb, to int64) {
	t.Helper()
	s.main = to
	s.update(t, func(tx *bbolt.Tx) {
		require.NoError(t, tx.Bucket([]byte("key")).Put(recordKey(revision{main: to}, false), []byte{}))
	})
}

// leafElement is one of a page that a test makes.
type leafElement struct {
	flags uint32
	key   string
	value []byte
}

// encodePage makes a page with that many more behind it.
func encodePage(number int64, kind uint16, overflow int, elements ...leafElement) []byte {
	b := make([]byte, (overflow+1)*pageSize)
	order := binary.LittleEndian
	order.PutUint64(b, uint64(number))
	order.PutUint16(b[8:], kind)
	order.PutUint16(b[10:], uint16(len(elements)))
	order.PutUint32(b[12:], uint32(overflow))
	end := headerSize + len(elements)*elementSize
	for i, e := range elements {
		at := headerSize + i*elementSize
		order.PutUint32(b[at:], e.flags)
		order.PutUint32(b[at+4:], uint32(end-at))
		order.PutUint32(b[at+8:], uint32(len(e.key)))
		order.PutUint32(b[at+12:], uint32(len(e.value)))
		end += copy(b[end:], e.key)
		end += copy(b[end:], e.value)
	}
	return b
}

// withPages is a database with pages at its end that nothing leads to.
func withPages(b []byte, pages ...[]byte) []byte {
	b = append(b, bytes.Join(pages, nil)...)
	setMeta(b, 40, uint64(len(b)/pageSize))
	return b
}

// withRoot is a database with other buckets.
func withRoot(b []byte, buckets ...leafElement) []byte {
	root := int64(len(b) / pageSize)
	b = withPages(b, encodePage(root, kindLeaf, 3, buckets...))
	setMeta(b, 16, uint64(root))
	return b
}
