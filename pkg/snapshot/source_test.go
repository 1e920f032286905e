// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestASourceReadsWhatTheFileHas(t *testing.T) {
	t.Parallel()
	content := make([]byte, blockSize*(blockCount+2)+100)
	for i := range content {
		content[i] = byte(i / 251)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := &source{file: bytes.NewReader(content), size: int64(len(content))}
		for range rapid.IntRange(1, 20).Draw(t, "reads") {
			offset := rapid.IntRange(0, len(content)+2*blockSize).Draw(t, "offset")
			b := make([]byte, rapid.IntRange(1, 2*blockSize).Draw(t, "length"))
			err := s.read(b, int64(offset))
			if offset+len(b) > len(content) {
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				continue
			}
			require.NoError(t, err)
			require.Equal(t, content[offset:offset+len(b)], b)
		}
	})
}

// broken is a disk.
type broken struct{ err error }

func (b broken) ReadAt([]byte, int64) (int, error) { return 0, b.err }

func TestAnErrorOfTheDiskIsThatOfTheReader(t *testing.T) {
	t.Parallel()
	disk := errors.New("input/output error")
	_, err := New(t.Context(), broken{disk}, 1<<20, Options{})
	assert.ErrorIs(t, err, disk)

	s := newTestStore(t)
	b := s.snapshot(t)
	f := open(t, b)
	f.file = broken{disk}
	_, err = all(f.Latest, "")
	assert.ErrorIs(t, err, disk)
}
