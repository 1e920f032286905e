// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

var update = flag.Bool("update", false, "write the golden files")

// The steps of a rotation, one after the other, on a file that people have commented.
func TestDocument_Apply_through_a_rotation_of_a_commented_file(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("testdata", "commented.yaml"))
	require.NoError(t, err)
	doc := parsed(t, string(data))
	fresh := key(encconfig.AESGCM, "8")
	steps := []struct {
		golden string
		change encconfig.Change
	}{
		{"1-add-read-key.golden", encconfig.Change{Kind: encconfig.AddReadKey, Keys: []encconfig.Key{fresh}}},
		{"2-promote.golden", encconfig.Change{Kind: encconfig.Promote, Keys: []encconfig.Key{fresh}}},
		{"3-remove.golden", encconfig.Change{Kind: encconfig.Remove, Keys: []encconfig.Key{
			key(encconfig.AESGCM, "6"), key(encconfig.AESCBC, "key1"),
		}}},
	}
	for _, step := range steps {
		doc, err = doc.Apply(step.change, secretOf('D'))
		require.NoError(t, err, step.golden)
		requireGolden(t, step.golden, doc.Bytes())
		requireUpstreamAgrees(t, doc)
	}
}

func requireGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))
}
