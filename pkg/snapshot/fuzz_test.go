// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzOpen opens files that were altered: cut, with other bytes at places that the edits tell (three bytes where, one what), and
// with pages copied over others (the byte is then a page, if the place is the start of one). It ends with what the file has or with
// an error of this package, hands out no more bytes than there are, and takes no more memory than a file of its size may.
func FuzzOpen(f *testing.F) {
	files := fuzzFiles(f)
	f.Add(uint8(0), []byte{}, uint32(0), true, false)
	f.Add(uint8(1), []byte{0, 0x30, 0, 4, 0, 0x50, 10, 0xff}, uint32(0), true, true)
	f.Add(uint8(2), []byte{0, 0, 16, 0}, uint32(4096), false, false)
	f.Fuzz(func(t *testing.T, which uint8, edits []byte, cut uint32, sums, whole bool) {
		b := slices.Clone(files[int(which)%len(files)])
		if whole {
			b = append(edits, make([]byte, (512-len(edits)%512)%512)...)
		}
		edit(b, edits)
		b = b[:len(b)-int(cut)%(len(b)+1)]
		if sums && len(b) >= 2*pageSize {
			resum(b)
		}
		before := allocated()
		defer func() {
			assert.LessOrEqual(t, allocated()-before, uint64(mostAllocated+len(b)), "bytes, all of them ever taken")
		}()
		file, err := New(t.Context(), bytes.NewReader(b), int64(len(b)), Options{AcceptAltered: true})
		if err != nil {
			assertOurs(t, err)
			return
		}
		file.maxKeys = 100
		for name, walk := range map[string]func(context.Context, []string, Visit) error{
			"latest": file.Latest, "superseded": file.Superseded,
		} {
			handed := 0
			err := walk(t.Context(), []string{""}, func(key, value []byte, _ int64) error {
				handed += len(key) + len(value)
				return nil
			})
			assertOurs(t, err)
			assert.LessOrEqual(t, handed, len(b), name)
		}
	})
}

// mostAllocated is more than opening and walking the files of these tests three times takes, and no number that a few altered
// bytes can say is as small.
const mostAllocated = 16 << 20

// allocated is how many bytes this process has ever taken.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func edit(b, edits []byte) {
	for ; len(edits) >= 4 && len(b) > 0; edits = edits[4:] {
		where := (int(edits[0])<<16 | int(edits[1])<<8 | int(edits[2])) % len(b)
		from := int(edits[3]) * pageSize
		if where%pageSize == 0 && from+pageSize <= len(b) && where+pageSize <= len(b) {
			copy(b[where:], b[from:from+pageSize])
			continue
		}
		b[where] = edits[3]
	}
}

func assertOurs(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrForeign) {
		assert.NoError(t, err, "only an error of this package")
	}
}

// fuzzFiles are a file with an inline bucket, one with a branch and free pages, and one with a page that overflows.
func fuzzFiles(t testing.TB) [][]byte {
	t.Helper()
	small, large, wide := newTestStore(t), newTestStore(t), newTestStore(t)
	small.put(t, "a", "x")
	for i := range 300 {
		large.put(t, fmt.Sprintf("/registry/secrets/s%d", i%200), "value")
	}
	large.compact(t, 150, math.MaxInt)
	wide.put(t, "a", strings.Repeat("x", 3*pageSize))
	wide.put(t, "a", strings.Repeat("y", 2*pageSize))
	var files [][]byte
	for _, s := range []*store{small, large, wide} {
		b := s.snapshot(t)
		require.NoError(t, read(b))
		files = append(files, b)
	}
	return files
}
