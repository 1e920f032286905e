// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"errors"
	"io"
)

const (
	// blockSize is what is read of the file at once, in bytes. etcd writes the pages of a commit near each other, and a
	// walk backwards gets nothing of what the system reads ahead.
	blockSize = 64 << 10
	// blockCount is how many blocks a walk keeps: 2 MiB.
	blockCount = 32
)

// source reads parts of a file through the blocks that were read last. It serves one walk at a time.
type source struct {
	file   io.ReaderAt
	size   int64 // in bytes
	blocks [blockCount]block
}

// block is an aligned part of the file; the last one may be short. Without bytes it is unused.
type block struct {
	number int64
	bytes  []byte
}

// read fills dst with the bytes from offset on. The caller has made sure that the file has them; one that no longer has is
// io.ErrUnexpectedEOF.
func (s *source) read(dst []byte, offset int64) error {
	if len(dst) >= blockSize {
		return readFull(s.file, dst, offset)
	}
	for len(dst) > 0 {
		b, err := s.block(offset / blockSize)
		if err != nil {
			return err
		}
		start := offset % blockSize
		if start >= int64(len(b)) {
			return io.ErrUnexpectedEOF
		}
		n := copy(dst, b[start:])
		dst, offset = dst[n:], offset+int64(n)
	}
	return nil
}

func (s *source) block(number int64) ([]byte, error) {
	slot := &s.blocks[number%blockCount]
	if len(slot.bytes) > 0 && slot.number == number {
		return slot.bytes, nil
	}
	length := min(blockSize, s.size-number*blockSize)
	if length <= 0 {
		return nil, io.ErrUnexpectedEOF
	}
	if cap(slot.bytes) == 0 {
		slot.bytes = make([]byte, 0, blockSize)
	}
	kept := slot.bytes[:length]
	slot.bytes = slot.bytes[:0]
	if err := readFull(s.file, kept, number*blockSize); err != nil {
		return nil, err
	}
	slot.number, slot.bytes = number, kept
	return kept, nil
}

// readFull is ReadAt that knows no end of the file but an unexpected one.
func readFull(file io.ReaderAt, dst []byte, offset int64) error {
	n, err := file.ReadAt(dst, offset)
	switch {
	case n == len(dst):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return err
}
