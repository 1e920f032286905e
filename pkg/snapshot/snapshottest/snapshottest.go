// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package snapshottest makes snapshots of etcd for tests of what reads them, without an etcd.
package snapshottest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/encoding/protowire"
)

// Snapshot is what etcdctl snapshot save would write of an etcd that holds these values by their keys. They are written in the
// order of the keys, from revision 2 on. Package snapshot has the sources of the format.
func Snapshot(t testing.TB, values map[string]string) []byte {
	t.Helper()
	database := Database(t, values)
	sum := sha256.Sum256(database)
	return append(database, sum[:]...)
}

// Database is the db file of such an etcd.
func Database(t testing.TB, values map[string]string) []byte {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, &bbolt.Options{NoFreelistSync: true, NoSync: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	var out bytes.Buffer
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error { return fill(tx, values) }))
	require.NoError(t, db.View(func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(&out)
		return err
	}))
	return out.Bytes()
}

func fill(tx *bbolt.Tx, values map[string]string) error {
	if _, err := tx.CreateBucket([]byte("meta")); err != nil {
		return err
	}
	b, err := tx.CreateBucket([]byte("key"))
	if err != nil {
		return err
	}
	revision := uint64(1)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		revision++
		at := append(binary.BigEndian.AppendUint64(nil, revision), "_\x00\x00\x00\x00\x00\x00\x00\x00"...)
		if err := b.Put(at, record(key, values[key], revision)); err != nil {
			return err
		}
	}
	return nil
}

// record is a KeyValue of etcd in protobuf.
func record(key, value string, revision uint64) []byte {
	b := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), key)
	for _, field := range []protowire.Number{2, 3} { // created and changed
		b = protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), revision)
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, 4, protowire.VarintType), 1)
	return protowire.AppendString(protowire.AppendTag(b, 5, protowire.BytesType), value)
}
