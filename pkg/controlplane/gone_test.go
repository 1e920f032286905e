// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
)

func TestGoneAreTheNodesThatHaveLeft(t *testing.T) {
	t.Parallel()
	worker := node("n2")
	worker.Labels = nil
	n1, n4 := node("n1"), node("n4")
	tests := map[string]struct {
		now  []runtime.Object
		gone []string
	}{
		"one has no Node any more, and one is a worker": {[]runtime.Object{&n1, &worker}, []string{"n2", "n3"}},
		"one has joined":              {[]runtime.Object{&n1, new(node("n2")), new(node("n3")), &n4}, []string{}},
		"all of them, by the objects": {nil, []string{"n1", "n2", "n3"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cp := inOrder("n1", "n2", "n3").discover(t)
			gone, err := cp.Gone(t.Context(), fake.NewClientset(tt.now...))
			require.NoError(t, err)
			assert.Equal(t, tt.gone, gone)
		})
	}
}
