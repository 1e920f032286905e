// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

var (
	benchKeys = flag.Int("keys", 50_000, "how many keys the benchmarked file has, each with two values of 1 KiB of which one is superseded")
	benchFile = flag.String("file", "", "where the benchmarked file is kept from one run to the next; as a rule it is not")
)

// BenchmarkLatest compares counting the latest values with what a loop over bbolt's cursor needs to look at every record.
func BenchmarkLatest(b *testing.B) {
	path := *benchFile
	if path == "" {
		path = filepath.Join(b.TempDir(), "snapshot")
	}
	if _, err := os.Stat(path); err != nil {
		fill(b, path)
	}
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			f, err := Open(b.Context(), path, Options{})
			require.NoError(b, err)
			require.NoError(b, f.Close())
		}
	})
	b.Run("cursor", func(b *testing.B) {
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
		require.NoError(b, err)
		var records, size int
		for b.Loop() {
			require.NoError(b, db.View(func(tx *bbolt.Tx) error {
				c := tx.Bucket([]byte("key")).Cursor()
				for k, v := c.First(); k != nil; k, v = c.Next() {
					records++
					size += bytes.Count(v[:8], []byte("k"))
				}
				return nil
			}))
		}
		b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
		require.NoError(b, db.Close())
	})
	b.Run("latest", func(b *testing.B) {
		f, err := Open(b.Context(), path, Options{})
		require.NoError(b, err)
		values := 0
		for b.Loop() {
			require.NoError(b, f.Latest(b.Context(), []string{"/registry/secrets/"}, func(_, _ []byte, _ int64) error {
				values++
				return nil
			}))
		}
		b.ReportMetric(float64(values)/b.Elapsed().Seconds(), "values/s")
		require.NoError(b, f.Close())
	})
}

// fill writes a snapshot.
func fill(b *testing.B, path string) {
	b.Helper()
	s := newStore(b, b.TempDir())
	for i := 0; i < *benchKeys; {
		var transactions [][]change
		for ; i < *benchKeys && len(transactions) < 2000; i++ {
			key := fmt.Sprintf("/registry/secrets/namespace-%d/secret-%d", i%100, i)
			value := strings.Repeat(fmt.Sprintf("%08d", i), 128)
			transactions = append(transactions, []change{{key: key, value: value}}, []change{{key: key, value: value}})
		}
		s.commit(b, transactions...)
		s.records = nil
	}
	file, err := os.Create(path)
	require.NoError(b, err)
	sum := sha256.New()
	require.NoError(b, s.db.View(func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(io.MultiWriter(file, sum))
		return err
	}))
	_, err = file.Write(sum.Sum(nil))
	require.NoError(b, errors.Join(err, file.Close(), s.db.Close()))
}
