// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rollback

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/history"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args    []string
		message string // empty for valid flags
	}{
		"a number":                    {[]string{"--to=3"}, ""},
		"a number of a node":          {[]string{"--to=n1/3", "--dry-run"}, ""},
		"a digest":                    {[]string{"--to=sha256:befe76d39dfc", "--yes"}, ""},
		"going on":                    {[]string{"--resume"}, ""},
		"nothing":                     {nil, "--to must name a revision"},
		"something else":              {[]string{"--to=aesgcm/1x/"}, "does not name a revision"},
		"both":                        {[]string{"--to=3", "--resume"}, "--to is for a new rollback"},
		"what every change validates": {[]string{"--to=3", "-o", "wide"}, "is not one of json, yaml"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams, _, _, _ := genericiooptions.NewTestIOStreams()
			f := &Flags{Change: options.Change{Shared: options.Shared{IOStreams: streams}}}
			cmd := NewCommand(options.Shared{IOStreams: streams})
			cmd.ResetFlags()
			f.AddFlags(cmd)
			require.NoError(t, cmd.ParseFlags(tt.args))
			err := f.Validate()
			if tt.message == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, tt.message)
		})
	}
}

func TestTarget_needsEveryNode(t *testing.T) {
	t.Parallel()
	k := encconfig.Key{Provider: encconfig.AESGCM, Name: "1", Fingerprint: "f1"}
	told := history.Answer{Node: "n1", State: &agentapi.State{History: []agentapi.Revision{{
		Number: 3, Config: encconfig.Description{Digest: "sha256:x", Rules: []encconfig.Rule{{Resources: []string{"secrets"}, Keys: []encconfig.Key{k}}}},
	}}}}
	got, err := target([]history.Answer{told}, "3")
	require.NoError(t, err)
	assert.Equal(t, k, got)
	_, err = target([]history.Answer{told, {Node: "n2", Err: errors.New("not there")}}, "3")
	require.ErrorContains(t, err, "node n2 could not be asked: not there", "the name may stand for another key there")
	_, err = target([]history.Answer{told}, "4")
	require.ErrorContains(t, err, "no node keeps a revision 4")
}
