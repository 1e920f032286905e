// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeadmconfig_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/kubeadmconfig"
)

// Whatever the text: Enable refuses it, or changes nothing but what it should, and Disable takes that back.
func FuzzEnable(f *testing.F) {
	for _, data := range corpus(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file := defaultFile
		if e, err := kubeadmconfig.Read(data); err == nil && e.HostPath != "" {
			file = e.HostPath
		}
		enabled, err := kubeadmconfig.Enable(data, file)
		if err != nil {
			require.ErrorIs(t, err, kubeadmconfig.ErrRefused)
			return
		}
		requireOn(t, enabled, file)
		requireNothingElse(t, data, enabled)
		requireDisableHolds(t, enabled)
	})
}

// Whatever the text: Disable refuses it, or changes nothing but what it should.
func FuzzDisable(f *testing.F) {
	for _, data := range corpus(f) {
		enabled, err := kubeadmconfig.Enable(data, fileOf(f, data))
		require.NoError(f, err)
		f.Add(data)
		f.Add(enabled)
	}
	f.Fuzz(func(t *testing.T, data []byte) { requireDisableHolds(t, data) })
}

func requireDisableHolds(t assertT, data []byte) {
	t.Helper()
	disabled, err := kubeadmconfig.Disable(data)
	if err != nil {
		require.ErrorIs(t, err, kubeadmconfig.ErrRefused)
		return
	}
	requireOff(t, disabled)
	requireNothingElse(t, disabled, data)
}
