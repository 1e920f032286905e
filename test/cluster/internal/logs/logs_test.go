// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package logs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/test/cluster/internal/logs"
)

func TestLast_saysARepeatedLineOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(file, []byte("10:01 no node\n10:02 no disk\n10:03 no node\n"), 0o600))
	assert.Equal(t, []string{"10:02 no disk", "10:03 no node"}, logs.Last(file, regexp.MustCompile("."), 5))
}

func TestLast(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "log")
	content := "E one\nI two\nE three\nE " + strings.Repeat("x", 1000) + "\nI five"
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	got := logs.Last(file, regexp.MustCompile("^E"), 2)
	require.Len(t, got, 2)
	assert.Equal(t, "E three", got[0])
	assert.Len(t, got[1], 400, "a line is not longer than a person reads")
	assert.Empty(t, logs.Last(filepath.Join(t.TempDir(), "none"), regexp.MustCompile("."), 2))
}
