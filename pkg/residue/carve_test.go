// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package residue

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

const root = "/registry/"

// kept is a record as etcd's database has it: its revision, and the message behind it.
func kept(t require.TestingT, kv *mvccpb.KeyValue) []byte {
	b, err := proto.Marshal(kv)
	require.NoError(t, err)
	at := binary.BigEndian.AppendUint64(nil, uint64(kv.ModRevision))
	return append(append(at, "_\x00\x00\x00\x00\x00\x00\x00\x00"...), b...)
}

func record(t require.TestingT, key, value string, revision int64) []byte {
	return kept(t, &mvccpb.KeyValue{
		Key: []byte(key), Value: []byte(value), CreateRevision: max(1, revision-3), ModRevision: revision, Version: 2, Lease: revision % 2,
	})
}

// logged is a transaction of kube-apiserver's as etcd's log has it (k8s.io/apiserver@v0.37.2 pkg/storage/etcd3/store.go).
func logged(t require.TestingT, key, value string) []byte {
	b, err := proto.Marshal(&etcdserverpb.InternalRaftRequest{ID: 7, Txn: &etcdserverpb.TxnRequest{
		Compare: []*etcdserverpb.Compare{{Key: []byte(key), Target: etcdserverpb.Compare_MOD, TargetUnion: &etcdserverpb.Compare_ModRevision{ModRevision: 4}}},
		Success: []*etcdserverpb.RequestOp{{Request: &etcdserverpb.RequestOp_RequestPut{
			RequestPut: &etcdserverpb.PutRequest{Key: []byte(key), Value: []byte(value), Lease: 5},
		}}},
		Failure: []*etcdserverpb.RequestOp{{Request: &etcdserverpb.RequestOp_RequestRange{RequestRange: &etcdserverpb.RangeRequest{Key: []byte(key)}}}},
	}})
	require.NoError(t, err)
	return b
}

// found is a record in a form that can be compared.
func found(r Record) string {
	return fmt.Sprintf("%s@%d %s/%s", r.Key, r.Revision, r.Mark.Provider, r.Mark.Key)
}

func carve(form Form, b []byte) (list []string) {
	NewCarver(form, root).Carve(b, true, func(r Record) { list = append(list, found(r)) })
	return list
}

func TestWhatIsARecord(t *testing.T) {
	t.Parallel()
	gcm := "k8s:enc:aesgcm:v1:1:" + strings.Repeat("x", 40)
	whole := record(t, "/registry/secrets/ns/a", gcm, 9)
	altered := func(at int, b byte) []byte {
		c := slices.Clone(whole)
		c[at] = b
		return c
	}
	const head = 17 + 2 // the revision, the tag and the length of the key
	fields := head + len("/registry/secrets/ns/a")
	tests := map[string]struct {
		form Form
		b    []byte
		want []string
	}{
		"an encrypted value":                 {Database, whole, []string{"/registry/secrets/ns/a@9 aesgcm/1"}},
		"a value in plaintext":               {Database, record(t, "/registry/secrets/ns/a", "k8s\x00....", 9), []string{"/registry/secrets/ns/a@9 identity/"}},
		"a custom resource in plaintext":     {Database, record(t, "/registry/example.com/ws/ns/a", `{"kind":"W"`, 9), []string{"/registry/example.com/ws/ns/a@9 identity/"}},
		"a provider that nobody knows":       {Database, record(t, "/registry/secrets/ns/a", "k8s:enc:quantum:v1:1:x", 9), []string{"/registry/secrets/ns/a@9 quantum/"}},
		"one that was cut within its value":  {Database, whole[:len(whole)-30], []string{"/registry/secrets/ns/a@9 aesgcm/1"}},
		"one that was cut before its value":  {Database, whole[:fields+7], nil},
		"one that was cut within its key":    {Database, whole[:head+15], nil},
		"a key that takes two bytes to tell": {Database, record(t, root+strings.Repeat("n", 300), gcm, 9), []string{root + strings.Repeat("n", 300) + "@9 aesgcm/1"}},
		"a key longer than any":              {Database, record(t, root+strings.Repeat("n", maxKey), gcm, 9), nil},
		"a key that is the root":             {Database, record(t, root, gcm, 9), []string{root + "@9 aesgcm/1"}},
		"another root":                       {Database, record(t, "/elsewhere/secrets/ns/a", gcm, 9), nil},
		"a value that is nothing of kube's":  {Database, record(t, "/registry/ranges/x", "hello", 9), nil},
		"no value":                           {Database, record(t, "/registry/secrets/ns/a", "", 9), nil},
		"a tombstone":                        {Database, kept(t, &mvccpb.KeyValue{Key: []byte("/registry/secrets/ns/a")}), nil},
		"revisions that can't be":            {Database, kept(t, &mvccpb.KeyValue{Key: []byte("/registry/secrets/ns/a"), Value: []byte(gcm), CreateRevision: 9, ModRevision: 8, Version: 1}), nil},
		"another tag before the key":         {Database, altered(head-2, 0x1a), nil},
		"a key's length that is not its own": {Database, altered(head-1, 5), nil},
		"another field behind the key":       {Database, altered(fields, 0x12), nil},
		"a path in a text":                   {Database, []byte("see /registry/secrets/ns/a for k8s:enc:aesgcm:v1:1:"), nil},
		"the log's form in a database":       {Database, logged(t, "/registry/secrets/ns/a", gcm), nil},
		"a transaction":                      {Log, logged(t, "/registry/secrets/ns/a", gcm), []string{"/registry/secrets/ns/a@0 aesgcm/1"}},
		"the database's form in a log":       {Log, whole, nil},
		"a range that is deleted": {Log, func() []byte {
			b, err := proto.Marshal(&etcdserverpb.DeleteRangeRequest{Key: []byte("/registry/secrets/"), RangeEnd: []byte("/registry/secrets0")})
			require.NoError(t, err)
			return b
		}(), nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, carve(tt.form, tt.b))
		})
	}
}

// What is found says nothing of a value but its key: not even whether it is whole, of which only the beginning is seen.
func TestAValueIsNotCalledDamaged(t *testing.T) {
	t.Parallel()
	NewCarver(Database, root).Carve(record(t, "/registry/secrets/ns/a", "k8s:enc:aescbc:v1:1:"+strings.Repeat("x", 5001), 9), true, func(r Record) {
		assert.Equal(t, stored.Mark{Form: stored.Encrypted, Provider: encconfig.AESCBC, Version: "v1", Key: "1"}, r.Mark)
	})
}

// Wherever records lie, and however long the blocks are that a file is read in, each is found once and nothing else is.
func TestEveryRecordIsFoundOnceWhateverTheBlocks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		form := rapid.SampledFrom([]Form{Database, Log}).Draw(t, "form")
		var file []byte
		var want []string
		for i := range rapid.IntRange(0, 12).Draw(t, "records") {
			file = append(file, bytes.Repeat([]byte{rapid.Byte().Draw(t, "filler")}, rapid.IntRange(0, 3000).Draw(t, "between"))...)
			key := root + "secrets/" + rapid.StringMatching(`[a-z]{1,20}`).Draw(t, "namespace") + "/" + rapid.StringMatching(`[a-z.]{1,253}`).Draw(t, "name")
			value := "k8s:enc:secretbox:v1:k:" + strings.Repeat("v", rapid.IntRange(0, 6000).Draw(t, "size"))
			if form == Database {
				file = append(file, record(t, key, value, int64(i+5))...)
				want = append(want, fmt.Sprintf("%s@%d secretbox/k", key, i+5))
			} else {
				file = append(file, logged(t, key, value)...)
				want = append(want, key+"@0 secretbox/k")
			}
		}
		c, block := NewCarver(form, root), make([]byte, Reach+rapid.IntRange(1, 5000).Draw(t, "block"))
		var got []string
		for offset, last := int64(0), false; !last; {
			next, isLast, err := c.Block(bytes.NewReader(file), offset, block, func(r Record) { got = append(got, found(r)) })
			require.NoError(t, err)
			require.True(t, isLast || next > offset, "headway")
			offset, last = next, isLast
		}
		require.Equal(t, want, got)
	})
}

func FuzzCarve(f *testing.F) {
	f.Add(record(f, "/registry/secrets/ns/a", "k8s:enc:aesgcm:v1:1:x", 9), false, 3)
	f.Add(logged(f, "/registry/secrets/ns/a", "k8s\x00"), true, 0)
	f.Add([]byte("\x0a\xff\x7f/registry/\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01k8s:enc:"), true, 1)
	f.Fuzz(func(t *testing.T, b []byte, log bool, repeat int) {
		form := Database
		if log {
			form = Log
		}
		b = bytes.Repeat(b, 1+min(max(repeat, 0), 2*Reach/(len(b)+1)))
		c, visits := NewCarver(form, root), 0
		visit := func(r Record) {
			visits++
			require.True(t, bytes.HasPrefix(r.Key, []byte(root)))
			require.LessOrEqual(t, len(r.Key), maxKey)
			require.NotEqual(t, stored.Undecodable, r.Mark.Form)
			require.GreaterOrEqual(t, r.Revision, int64(0))
		}
		done := c.Carve(b, false, visit)
		require.LessOrEqual(t, done, len(b))
		c.Carve(b[done:], true, visit)
		apart := visits
		visits = 0
		require.Equal(t, len(b), c.Carve(b, true, visit))
		require.Equal(t, visits, apart, "in two parts as in one")
	})
}

func BenchmarkCarve(b *testing.B) {
	var file []byte
	for i := range 1000 {
		file = append(file, record(b, fmt.Sprintf("/registry/secrets/namespace-%d/name-%d", i%7, i), "k8s:enc:aesgcm:v1:1:"+strings.Repeat("v", 1000), int64(i+5))...)
	}
	b.SetBytes(int64(len(file)))
	c := NewCarver(Database, root)
	for b.Loop() {
		c.Carve(file, true, func(Record) {})
	}
}
