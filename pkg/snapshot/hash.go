// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
)

// Hash is what the end of the file says of its content.
type Hash string

const (
	// HashFits is that of a snapshot that is as etcd sent it.
	HashFits Hash = "fits"
	// HashAltered is that of a snapshot that is not.
	HashAltered Hash = "altered"
	// HashAbsent is that of a db file, which has none; a snapshot whose last 32 bytes were cut off looks the same.
	HashAbsent Hash = "absent"
)

// hashBlock is what the size of a file is a multiple of when there is no hash behind it, in bytes: so says etcd
// (etcdutl/snapshot/v3_snapshot.go in the repository of etcd, hasChecksum; go.etcd.io/etcd@v3.3.27 clientv3/snapshot, the same).
const hashBlock = 512

// split tells how many of the bytes of a file are the database, and whether a hash follows. With an error, all of them.
func split(size int64) (database int64, hashed bool, err error) {
	switch size % hashBlock {
	case 0:
		return size, false, nil
	case sha256.Size:
		return size - sha256.Size, true, nil
	}
	return size, false, damaged("%d bytes are neither whole pages nor whole pages and a hash: it was cut, or something was added", size)
}

// verify reads the whole file and compares the hash behind it.
func verify(ctx context.Context, file io.ReaderAt, database int64) (Hash, error) {
	digest, buffer := sha256.New(), make([]byte, 1<<20)
	for offset := int64(0); offset < database; {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		part := buffer[:min(int64(len(buffer)), database-offset)]
		if err := readFull(file, part, offset); err != nil {
			return "", err
		}
		digest.Write(part)
		offset += int64(len(part))
	}
	told := make([]byte, sha256.Size)
	if err := readFull(file, told, database); err != nil {
		return "", err
	}
	if !bytes.Equal(told, digest.Sum(nil)) {
		return HashAltered, nil
	}
	return HashFits, nil
}
