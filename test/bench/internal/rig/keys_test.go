// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestKeys_takeTurnsAndBothStayInTheConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	first := base64.StdEncoding.EncodeToString(make([]byte, 32))
	require.NoError(t, os.WriteFile(file, []byte("keys:\n  - name: \"1\"\n    secret: "+first+"\n"), 0o600))
	keys, err := readKeys(file)
	require.NoError(t, err)
	assert.Equal(t, first, keys.secrets[0])
	for write, want := range []string{"k8s:enc:secretbox:v1:1:", "k8s:enc:secretbox:v1:2:"} {
		keys.write = write
		assert.Equal(t, want, string(keys.prefix()))
		_, err := encconfig.Parse(keys.configuration())
		require.NoError(t, err)
		assert.Contains(t, string(keys.configuration()), keys.secrets[1-write], "the other key still reads")
	}
}
