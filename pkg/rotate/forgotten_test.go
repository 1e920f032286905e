// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
)

// What the agents would refuse when the keys have left the configuration is refused before.
func TestKeysAreNotDestroyedWithOthers(t *testing.T) {
	t.Parallel()
	revision := func(names ...string) agentapi.Revision {
		var list []encconfig.Key
		for _, name := range names {
			list = append(list, key(name))
		}
		return agentapi.Revision{Config: *config(list...)}
	}
	tests := map[string]struct {
		history []agentapi.Revision
		destroy []encconfig.Key
		hint    string
	}{
		"what goes with it is in the configuration": {[]agentapi.Revision{revision("3", "2"), revision("4", "3")}, []encconfig.Key{key("2")}, ""},
		"what goes with it is in a revision that stays": {
			[]agentapi.Revision{revision("1"), revision("2", "1"), revision("4", "3")}, []encconfig.Key{key("2")}, "",
		},
		"another key is in no other revision": {
			[]agentapi.Revision{revision("2", "1"), revision("4", "3")}, []encconfig.Key{key("2")}, "prune --history --key aesgcm/2 --key aesgcm/1",
		},
		"the other key is to go as well": {[]agentapi.Revision{revision("2", "1")}, []encconfig.Key{key("2"), key("1")}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := checkForgettable(map[string]agentapi.State{"n1": {Config: config(key("4"), key("3")), History: tt.history}}, tt.destroy)
			if tt.hint == "" {
				require.NoError(t, err)
				return
			}
			h, ok := err.(*hint.Error) //nolint:errorlint // it is the error itself
			require.True(t, ok)
			assert.Contains(t, h.Hints[0], tt.hint)
		})
	}
}
