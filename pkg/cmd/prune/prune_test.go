// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package prune

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args    []string
		message string // empty for valid flags
	}{
		"by retention":                 {nil, ""},
		"a smaller retention":          {[]string{"--keep=2", "--yes"}, ""},
		"a key":                        {[]string{"--key=aesgcm/2", "--wait"}, ""},
		"keys that are destroyed":      {[]string{"--key=1,2", "--history", "--yes"}, ""},
		"going on":                     {[]string{"--resume"}, ""},
		"destroyed without a name":     {[]string{"--history", "--yes"}, "--history destroys keys, and does so only to those that are named"},
		"a name and retention":         {[]string{"--key=1", "--keep=3"}, "--key and --keep exclude each other"},
		"no name":                      {[]string{"--key="}, "--key must name a key"},
		"too little to keep":           {[]string{"--keep=1"}, "--keep must be at least 2"},
		"going on with something else": {[]string{"--resume", "--key=1"}, "--resume goes on with the keys that are on record"},
		"going on and destroying":      {[]string{"--resume", "--history"}, "--resume goes on with the keys that are on record"},
		"what every change validates":  {[]string{"-o", "wide"}, "is not one of json, yaml"},
		"no image":                     {[]string{"--agent-image="}, "--agent-image must name an image"},
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
			err := f.Validate(cmd.Flags().Changed)
			if tt.message == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, tt.message)
		})
	}
}
