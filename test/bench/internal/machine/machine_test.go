// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseStat(t *testing.T) {
	for name, tc := range map[string]struct {
		line string
		want time.Duration
	}{
		"user and system time are added": {"7 (etcd) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 9 9 20 0 8 0 100", 2 * time.Second},
		"a name may look like fields":    {"7 (a b) 1 (c) S 1 7 7 0 -1 4194560 1 0 0 0 3 4 9 9 20 0 8 0 100", 70 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat([]byte(tc.line))
			require.NoError(t, err)
			assert.Equal(t, tc.want, got)
		})
	}
	_, err := parseStat([]byte("7 (etcd) S 1"))
	assert.Error(t, err, "a line that ends too early")
}

func TestParseLoad(t *testing.T) {
	got, err := parseLoad("cpu  100 20 30 1000 50 6 7 8 0 0\ncpu0 1 2 3\n", "1.50 0.9 0.8 1/90 7\n")
	require.NoError(t, err)
	assert.Equal(t, Load{Busy: 1630 * time.Millisecond, Steal: 80 * time.Millisecond, Average1: 1.5}, got)
	_, err = parseLoad("intr 1 2\n", "1 1 1")
	assert.Error(t, err, "another file")
}

func TestThisProcess(t *testing.T) {
	peak, err := PeakMemory(os.Getpid())
	require.NoError(t, err)
	assert.Positive(t, peak)
	_, err = CPU(os.Getpid())
	require.NoError(t, err)
	_, err = ReadLoad()
	require.NoError(t, err)
}

func TestDescribe(t *testing.T) {
	about, err := Describe(t.TempDir())
	require.NoError(t, err)
	assert.Positive(t, about.Cores)
	assert.Positive(t, about.Memory)
	assert.NotEmpty(t, about.Model)
	assert.NotEmpty(t, about.Kernel)
	assert.LessOrEqual(t, about.SyncP50, about.SyncP99)
}
