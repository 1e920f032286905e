// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package join

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
)

func instance(node, dir, file string) controlplane.Instance {
	return controlplane.Instance{Node: node, Manifest: controlplane.Manifest{HostDir: dir, File: file}}
}

func TestOnePlace(t *testing.T) {
	t.Parallel()
	file, err := onePlace([]controlplane.Instance{instance("n1", "/etc/kubernetes/encryption", "config.yaml"), instance("n2", "/etc/kubernetes", "encryption/config.yaml")})
	require.NoError(t, err)
	assert.Equal(t, "/etc/kubernetes/encryption/config.yaml", file)
	_, err = onePlace([]controlplane.Instance{instance("n1", "/etc/kubernetes/encryption", "config.yaml"), instance("n2", "/etc/kubernetes/enc", "config.yaml")})
	assert.EqualError(t, err, "the configuration is /etc/kubernetes/encryption/config.yaml on node n1 and /etc/kubernetes/enc/config.yaml on node n2: where a further node needs it can't be told")
}

func TestSameFile(t *testing.T) {
	t.Parallel()
	known := func(digest string) agentapi.State {
		return agentapi.State{Digest: digest, Config: &encconfig.Description{Digest: digest}}
	}
	instances := []controlplane.Instance{{Node: "n1"}, {Node: "n2"}}
	tests := map[string]struct {
		second  agentapi.State
		message string // empty if both have the same
	}{
		"both have it":         {known("sha256:aa"), ""},
		"they differ":          {known("sha256:bb"), "the encryption configurations of the control-plane nodes differ: n1 sha256:aa, n2 sha256:bb"},
		"one can't be read":    {agentapi.State{Problem: &agentapi.Error{Message: "it is not there"}}, "node n2: it is not there"},
		"one is not described": {agentapi.State{Digest: "sha256:aa"}, "node n2: its configuration is not understood"},
		"a history is damaged and the file is not": {agentapi.State{
			Digest: "sha256:aa", Config: &encconfig.Description{}, Problem: &agentapi.Error{Message: "revision 3 can't be read"},
		}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &Run{Operation: &operation.Operation{Files: map[string]agentapi.State{"n1": known("sha256:aa"), "n2": tt.second}}}
			digest, err := r.sameFile(instances)
			if tt.message != "" {
				require.EqualError(t, err, tt.message)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, "sha256:aa", digest)
		})
	}
}
