// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/kube-storage-version-migrator/pkg/migrator"
)

func TestCheckpoints_areWhatTheLibrarySavesTo(t *testing.T) {
	record := &checkpoints{}
	require.NotNil(t, migrator.NewProgressTracker(record, "bench"))
	o, err := record.Get(t.Context(), "bench", metav1.GetOptions{})
	require.NoError(t, err)
	o.Spec.ContinueToken = "token"
	_, err = record.Update(t.Context(), o, metav1.UpdateOptions{})
	require.NoError(t, err)
	again, err := record.Get(t.Context(), "bench", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, "token", again.Spec.ContinueToken)
}

func TestCheckpoints_lastRate(t *testing.T) {
	start := time.Now()
	for name, tc := range map[string]struct {
		saved []time.Duration
		want  float64
	}{
		"nothing saved":            {nil, 0},
		"one page":                 {[]time.Duration{0}, 0},
		"the last two pages count": {[]time.Duration{0, time.Second, 11 * time.Second}, 50},
	} {
		t.Run(name, func(t *testing.T) {
			c := &checkpoints{}
			for _, at := range tc.saved {
				c.saved = append(c.saved, start.Add(at))
			}
			assert.InDelta(t, tc.want, c.lastRate(), 1e-9)
		})
	}
}
