// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

const pageSize = 4096

// tree is a file whose bucket "key" has branches, and the numbers of some of its pages.
type tree struct {
	bytes   []byte
	root    int64
	leaves  []int64 // of the bucket "key", in order
	buckets int64   // the page of the bucket of buckets
}

func newTree(t testing.TB) tree {
	t.Helper()
	s := newTestStore(t)
	var transactions [][]change
	for i := range 2000 {
		transactions = append(transactions, []change{{key: fmt.Sprintf("/registry/secrets/s%d", i), value: strings.Repeat("x", 20)}})
	}
	s.commit(t, transactions...)
	b := s.snapshot(t)
	b = b[:len(b)-32]
	f := open(t, b)
	require.EqualValues(t, pageSize, f.meta.pageSize, "what the tests below count on")
	w := f.walk(t.Context(), forward)
	p, err := w.read(f.keys.root, 0)
	require.NoError(t, err)
	require.True(t, p.branch)
	tr := tree{bytes: b, root: f.keys.root, buckets: f.meta.root}
	for i := range p.count {
		tr.leaves = append(tr.leaves, p.child(i))
	}
	require.Greater(t, len(tr.leaves), 10)
	return tr
}

// at is the offset of a page.
func at(page int64) int { return int(page * pageSize) }

// resum makes the checksum of both meta pages right again.
func resum(b []byte) {
	for _, offset := range []int{headerSize, pageSize + headerSize} {
		sum := fnv.New64a()
		_, _ = sum.Write(b[offset : offset+metaSummed])
		binary.LittleEndian.PutUint64(b[offset+metaSummed:], sum.Sum64())
	}
}

func setMeta(b []byte, offset int, value uint64) {
	for _, page := range []int{0, pageSize} {
		binary.LittleEndian.PutUint64(b[page+headerSize+offset:], value)
	}
	resum(b)
}

// read is what comes of a file: the first error.
func read(b []byte) error {
	f, err := New(noContext, bytes.NewReader(b), int64(len(b)), Options{})
	if err != nil {
		return err
	}
	_, err = all(f.Latest, "")
	return err
}

func TestDamage(t *testing.T) {
	t.Parallel()
	original := newTree(t)
	require.NoError(t, read(original.bytes))
	u16, u32, u64 := binary.LittleEndian.PutUint16, binary.LittleEndian.PutUint32, binary.LittleEndian.PutUint64
	tests := map[string]struct {
		damage func(b []byte, tr tree) []byte
		want   error
		says   string
	}{
		"an empty file is none of etcd": {
			func([]byte, tree) []byte { return nil }, ErrForeign, "too small",
		},
		"nor is a text": {
			func([]byte, tree) []byte { return []byte(strings.Repeat("hello\n", 1000)) }, ErrForeign, "does not begin as one",
		},
		"a file of a big-endian machine is refused": {
			func(b []byte, _ tree) []byte {
				u32(b[headerSize:], bits.ReverseBytes32(magic))
				u32(b[pageSize+headerSize:], bits.ReverseBytes32(magic))
				return b
			},
			ErrForeign, "big-endian",
		},
		"another version of the format is refused": {
			func(b []byte, _ tree) []byte {
				u32(b[headerSize+4:], 3)
				u32(b[pageSize+headerSize+4:], 3)
				resum(b)
				return b
			},
			ErrForeign, "another version",
		},
		"one meta page may be broken": {
			func(b []byte, _ tree) []byte { clear(b[:pageSize]); return b }, nil, "",
		},
		"the other one may be, too": {
			func(b []byte, _ tree) []byte { clear(b[pageSize : 2*pageSize]); return b }, nil, "",
		},
		"both may not": {
			func(b []byte, _ tree) []byte { b[headerSize+20]++; b[pageSize+headerSize+20]++; return b }, ErrDamaged, "checksum",
		},
		"pages of another size than a machine has are refused": {
			func(b []byte, _ tree) []byte {
				u32(b[headerSize+8:], 1<<31)
				u32(b[pageSize+headerSize+8:], 3)
				resum(b)
				return b
			},
			ErrDamaged, "its pages have",
		},
		"a file that was cut between pages is refused": {
			func(b []byte, _ tree) []byte { return b[:len(b)-pageSize] }, ErrDamaged, "it was cut",
		},
		"a file that was cut within a page is refused": {
			func(b []byte, _ tree) []byte { return b[:len(b)-100] }, ErrDamaged, "neither whole pages",
		},
		"more pages than any file has are refused": {
			func(b []byte, _ tree) []byte { setMeta(b, 40, 1<<63); return b }, ErrDamaged, "-1 pages",
		},
		"a root beyond the pages is refused": {
			func(b []byte, _ tree) []byte { setMeta(b, 16, 1<<40); return b }, ErrDamaged, "root",
		},
		"a root that is a meta page is refused": {
			func(b []byte, _ tree) []byte { setMeta(b, 16, 1); return b }, ErrDamaged, "root",
		},
		"a page that leads to itself is refused": {
			func(b []byte, tr tree) []byte {
				u64(b[at(tr.root)+headerSize+(len(tr.leaves)-1)*elementSize+8:], uint64(tr.root))
				return b
			},
			ErrDamaged, "levels",
		},
		"a page that leads to itself after its leaves is refused": {
			func(b []byte, tr tree) []byte { u64(b[at(tr.root)+headerSize+8:], uint64(tr.root)); return b }, ErrDamaged, "not in order",
		},
		"two ways to one leaf are refused": {
			func(b []byte, tr tree) []byte {
				u64(b[at(tr.root)+headerSize+8:], uint64(tr.leaves[1]))
				return b
			},
			ErrDamaged, "not in order",
		},
		"a branch that leads to a meta page is refused": {
			func(b []byte, tr tree) []byte { u64(b[at(tr.root)+headerSize+8:], 0); return b }, ErrDamaged, "not there",
		},
		"a page with another number is refused": {
			func(b []byte, tr tree) []byte { u64(b[at(tr.leaves[3]):], 3); return b }, ErrDamaged, "says that it is another one",
		},
		"a page of another kind is refused": {
			func(b []byte, tr tree) []byte { u16(b[at(tr.leaves[3])+8:], 0x10); return b }, ErrDamaged, "neither a branch nor a leaf",
		},
		"a page that goes on beyond the file is refused": {
			func(b []byte, tr tree) []byte { u32(b[at(tr.leaves[3])+12:], 1<<31); return b }, ErrDamaged, "goes on beyond",
		},
		"more elements than fit are refused": {
			func(b []byte, tr tree) []byte { u16(b[at(tr.leaves[3])+10:], 0xffff); return b }, ErrDamaged, "larger than itself",
		},
		"an element beyond its page is refused": {
			func(b []byte, tr tree) []byte { u32(b[at(tr.leaves[3])+headerSize+4:], 1<<31); return b }, ErrDamaged, "outside",
		},
		"a key that is larger than its page is refused": {
			func(b []byte, tr tree) []byte { u32(b[at(tr.leaves[3])+headerSize+8:], 0xffffffff); return b }, ErrDamaged, "outside",
		},
		"a value that is larger than its page is refused": {
			func(b []byte, tr tree) []byte { u32(b[at(tr.leaves[3])+headerSize+12:], 0xffffffff); return b }, ErrDamaged, "outside",
		},
		"an element within the list of elements is refused": {
			func(b []byte, tr tree) []byte { u32(b[at(tr.leaves[3])+headerSize+4:], 0); return b }, ErrDamaged, "outside",
		},
		"branches that lead to few pages again and again are refused": {
			func(b []byte, tr tree) []byte {
				point := func(page, to int64) {
					for i := range 20 {
						u64(b[at(page)+headerSize+i*elementSize+8:], uint64(to))
					}
					u16(b[at(page)+10:], 20)
				}
				point(tr.root, tr.leaves[0])
				copy(b[at(tr.leaves[0])+8:], b[at(tr.root)+8:at(tr.root+1)])
				point(tr.leaves[0], tr.leaves[1])
				u16(b[at(tr.leaves[1])+10:], 0)
				return b
			},
			ErrDamaged, "more pages than there are",
		},
		"a bucket within a page that is larger than one is refused": {
			func(b []byte, _ tree) []byte {
				inline := make([]byte, bucketSize+pageSize)
				inline[bucketSize+8] = kindLeaf
				return withRoot(b, leafElement{flagBucket, "key", inline}, leafElement{flagBucket, "meta", inline})
			},
			ErrDamaged, "larger than the page",
		},
		"a bucket within a page that is a branch is refused": {
			func(b []byte, _ tree) []byte {
				inline := make([]byte, bucketSize+headerSize)
				inline[bucketSize+8] = kindBranch
				return withRoot(b, leafElement{flagBucket, "key", inline}, leafElement{flagBucket, "meta", inline})
			},
			ErrDamaged, "it is a branch",
		},
		"a bucket within a page that has no header is refused": {
			func(b []byte, _ tree) []byte {
				inline := make([]byte, bucketSize+headerSize-1)
				return withRoot(b, leafElement{flagBucket, "key", inline}, leafElement{flagBucket, "meta", inline})
			},
			ErrDamaged, "too short",
		},
		"an empty key is refused": {
			func(b []byte, tr tree) []byte { u32(b[at(tr.leaves[3])+headerSize+8:], 0); return b }, ErrDamaged, "outside",
		},
		"elements that share their bytes are refused": {
			func(b []byte, tr tree) []byte {
				page := b[at(tr.leaves[3]):][:pageSize]
				for i := range int(binary.LittleEndian.Uint16(page[10:])) {
					e := page[headerSize+i*elementSize:]
					u32(e[12:], pageSize-uint32(headerSize+i*elementSize)-binary.LittleEndian.Uint32(e[4:])-17)
				}
				return b
			},
			ErrDamaged, "larger than itself",
		},
		"a revision of another length is refused": {
			func(b []byte, tr tree) []byte { u32(b[at(tr.leaves[3])+headerSize+8:], 16); return b }, ErrDamaged, "a revision is none",
		},
		"a record that can't be decoded is refused": {
			func(b []byte, tr tree) []byte {
				page := b[at(tr.leaves[3]):]
				start := headerSize + binary.LittleEndian.Uint32(page[headerSize+4:]) + 17
				page[start+1] = 0xff
				return b
			},
			ErrDamaged, "can't be decoded",
		},
		"a nested bucket among the records is refused": {
			func(b []byte, tr tree) []byte { b[at(tr.leaves[3])+headerSize] = flagBucket; return b }, ErrDamaged, "a revision is none",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := read(tt.damage(slices.Clone(original.bytes), original))
			assert.ErrorIs(t, err, tt.want)
			if tt.want != nil {
				assert.ErrorContains(t, err, tt.says)
			}
		})
	}
}

func TestRecordsThatNoEtcdWrites(t *testing.T) {
	t.Parallel()
	key := func(s string) []byte { return append([]byte(s), 0, 0, 0, 0, 0, 0, 0, 0)[:8] }
	valid := recordKey(revision{3, 0}, false)
	tests := map[string]struct {
		bucket     string
		key, value []byte
	}{
		"a mark that is not known":         {"key", append(slices.Clone(valid), 'x'), nil},
		"no separator":                     {"key", bytes.Replace(valid, []byte("_"), []byte("-"), 1), nil},
		"a negative revision":              {"key", append([]byte{0xff}, valid[1:]...), nil},
		"a negative part of a revision":    {"key", append(append(slices.Clone(valid[:9]), 0xff), valid[10:]...), nil},
		"a revision that is there twice":   {"key", append(slices.Clone(recordKey(revision{2, 0}, false)), 't'), nil},
		"a key that is a number":           {"key", valid, []byte{1 << 3, 0}},
		"a value that is a group":          {"key", valid, []byte{5<<3 | 3, 5<<3 | 4}},
		"a tag without an end":             {"key", valid, []byte{0xff}},
		"an unknown field without an end":  {"key", valid, []byte{9<<3 | 2, 200}},
		"a compaction of another length":   {"meta", []byte("finishedCompactRev"), key("x")},
		"an index of the log of one byte":  {"meta", []byte("consistent_index"), []byte{1}},
		"a term of the log of twenty-four": {"meta", []byte("term"), make([]byte, 24)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestStore(t)
			s.put(t, "a", "x")
			s.update(t, func(tx *bbolt.Tx) { require.NoError(t, tx.Bucket([]byte(tt.bucket)).Put(tt.key, tt.value)) })
			assert.ErrorIs(t, read(s.snapshot(t)), ErrDamaged)
		})
	}
}

func TestADatabaseOfAnotherProgramIsRefused(t *testing.T) {
	t.Parallel()
	for name, buckets := range map[string][]string{"none": {}, "others": {"a", "b"}, "only one": {"key"}} {
		db, err := bbolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, nil)
		require.NoError(t, err)
		s := &store{db: db}
		s.update(t, func(tx *bbolt.Tx) {
			for _, b := range buckets {
				_, err := tx.CreateBucket([]byte(b))
				require.NoError(t, err)
			}
		})
		assert.ErrorIs(t, read(s.snapshot(t)), ErrForeign, name)
		require.NoError(t, db.Close())
	}
}

func TestABucketThatIsAValueIsRefused(t *testing.T) {
	t.Parallel()
	original := newTree(t)
	page := original.bytes[at(original.buckets):][:pageSize]
	p, err := parsePage(page)
	require.NoError(t, err)
	for i := range p.count {
		if string(p.element(i).key) == "key" {
			page[headerSize+i*elementSize] = 0
		}
	}
	assert.ErrorIs(t, read(original.bytes), ErrDamaged)
}

func TestTheHash(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	good := hashed(tr.bytes)
	assert.Equal(t, HashFits, open(t, good).Info().Hash)
	assert.Equal(t, HashAbsent, open(t, tr.bytes).Info().Hash)

	altered := slices.Clone(good)
	altered[at(tr.leaves[2])+pageSize-1] ^= 1
	assert.ErrorIs(t, read(altered), ErrAltered)
	f, err := New(t.Context(), bytes.NewReader(altered), int64(len(altered)), Options{AcceptAltered: true})
	require.NoError(t, err)
	assert.Equal(t, HashAltered, f.Info().Hash)
	got, err := all(f.Latest, "/")
	require.NoError(t, err)
	assert.Len(t, got, 2000)
}

func TestAFileThatIsWrittenToWhileItIsRead(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	path := filepath.Join(t.TempDir(), "db")
	tests := map[string]func(*os.File) error{
		"a commit":          func(f *os.File) error { _, err := f.WriteAt([]byte{9}, pageSize+headerSize+48); return err },
		"a cut":             func(f *os.File) error { return f.Truncate(3 * pageSize) },
		"a cut to nothing":  func(f *os.File) error { return f.Truncate(0) },
		"pages, and commit": func(f *os.File) error { _, err := f.WriteAt(make([]byte, len(tr.bytes)), 0); return err },
	}
	for name, write := range tests {
		require.NoError(t, os.WriteFile(path, tr.bytes, 0o600))
		f, err := Open(t.Context(), path, Options{})
		require.NoError(t, err)
		w, err := os.OpenFile(path, os.O_RDWR, 0)
		require.NoError(t, err)
		require.NoError(t, write(w))
		_, err = all(f.Latest, "")
		assert.ErrorIs(t, err, ErrChanged, name)
		require.NoError(t, errors.Join(w.Close(), f.Close()))
	}
}

func TestWhatCanNotBeOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := Open(t.Context(), filepath.Join(dir, "none"), Options{})
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, err = Open(t.Context(), dir, Options{})
	assert.ErrorIs(t, err, ErrForeign)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "text"), []byte("hello"), 0o600))
	_, err = Open(t.Context(), filepath.Join(dir, "text"), Options{})
	assert.ErrorIs(t, err, ErrForeign)
	_, err = New(t.Context(), bytes.NewReader(nil), maxSize+512, Options{})
	assert.ErrorIs(t, err, ErrForeign)
}

func TestAFileIsFoundToHaveChangedBeforeItsEnd(t *testing.T) {
	t.Parallel()
	s := newTestStore(t)
	for i := range 100 {
		var transactions [][]change
		for j := range 100 {
			transactions = append(transactions, []change{{key: fmt.Sprint(i, j), value: strings.Repeat("x", pageSize)}})
		}
		s.commit(t, transactions...)
	}
	b := s.snapshot(t)
	f, err := New(t.Context(), bytes.NewReader(b), int64(len(b)), Options{})
	require.NoError(t, err)
	seen := 0
	assert.ErrorIs(t, f.Latest(t.Context(), []string{""}, func(_, _ []byte, _ int64) error {
		seen++
		b[headerSize+48]++
		return nil
	}), ErrChanged)
	assert.Less(t, seen, 2000)
}

// A file may say that each of its leaves is as large as itself.
func TestALeafIsNotReadBeyondItsLimit(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	leaf := tr.leaves[len(tr.leaves)-1]
	b := append(tr.bytes, make([]byte, maxRun)...)
	binary.LittleEndian.PutUint32(b[at(leaf)+12:], maxRun/pageSize)
	setMeta(b, 40, uint64(len(b)/pageSize))
	assert.ErrorContains(t, read(b), "more than are read at once")
}
