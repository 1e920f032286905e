// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package staticpod_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/staticpod"
)

// Whatever the manifest: Enable refuses it, or changes nothing but what it should, and Disable takes that back.
func FuzzEnable(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, manifest []byte) {
		requireEnableHolds(t, manifest, defaultFile)
		if m, err := staticpod.Read(manifest); err == nil && m.Encryption.HostPath != "" {
			requireEnableHolds(t, manifest, m.Encryption.HostPath)
		}
	})
}

// Whatever the manifest: Disable refuses it, or changes nothing but what it should.
func FuzzDisable(f *testing.F) {
	seed(f)
	for _, manifest := range corpus(f) {
		enabled, err := staticpod.Enable(manifest, fileOf(f, manifest))
		require.NoError(f, err)
		f.Add(enabled)
	}
	f.Fuzz(func(t *testing.T, manifest []byte) {
		disabled, err := staticpod.Disable(manifest)
		if err != nil {
			require.ErrorIs(t, err, staticpod.ErrRefused)
			return
		}
		require.True(t, isOff(t, disabled))
		requireNothingElse(t, disabled, manifest)
		again, err := staticpod.Disable(disabled)
		require.NoError(t, err)
		require.Equal(t, string(disabled), string(again))
	})
}

func seed(f *testing.F) {
	f.Helper()
	f.Add([]byte(small))
	for _, manifest := range corpus(f) {
		f.Add(manifest)
	}
}

func requireEnableHolds(t assertT, manifest []byte, file string) {
	t.Helper()
	enabled, err := staticpod.Enable(manifest, file)
	if err != nil {
		require.ErrorIs(t, err, staticpod.ErrRefused)
		return
	}
	m, err := staticpod.Read(enabled)
	require.NoError(t, err)
	assert.Equal(t, file, m.Encryption.HostPath)
	assert.True(t, m.Encryption.AutomaticReload)
	assert.False(t, m.Encryption.FileMount)
	requireNothingElse(t, manifest, enabled)
	again, err := staticpod.Enable(enabled, file)
	require.NoError(t, err)
	require.Equal(t, string(enabled), string(again))
	if isOff(t, manifest) && !bytes.Contains(manifest, []byte("automatic")) {
		disabled, err := staticpod.Disable(enabled)
		require.NoError(t, err)
		require.Equal(t, string(manifest), string(disabled))
	}
}
