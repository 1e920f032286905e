// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package rotate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/rotate"
)

// flags are the flags after a command line was read.
func flags(t *testing.T, args ...string) *rotate.Flags {
	t.Helper()
	streams, _, _, _ := genericiooptions.NewTestIOStreams()
	shared := options.Shared{IOStreams: streams}
	f := &rotate.Flags{Change: options.Change{Shared: shared}}
	cmd := rotate.NewCommand(shared)
	cmd.ResetFlags()
	f.AddFlags(cmd)
	require.NoError(t, cmd.ParseFlags(args))
	return f
}

func TestTheDefaultsAreValid(t *testing.T) {
	t.Parallel()
	f := flags(t)
	require.NoError(t, f.Validate())
	assert.Equal(t, 8, f.Keep)
	assert.Equal(t, 5*time.Minute, f.Agent.ConvergeTimeout)
	assert.Empty(t, f.Provider, "that of the write key")
	assert.False(t, f.Consent.Yes || f.DryRun || f.Resume || f.Abort)
}

func TestValidate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args    []string
		message string // empty for valid flags
	}{
		"each local provider: aesgcm":      {[]string{"--provider=aesgcm"}, ""},
		"each local provider: secretbox":   {[]string{"--provider=secretbox"}, ""},
		"each local provider: aescbc":      {[]string{"--provider=aescbc"}, ""},
		"a provider without keys":          {[]string{"--provider=identity"}, `unknown provider "identity"`},
		"a provider whose key is away":     {[]string{"--provider=kms"}, `unknown provider "kms"`},
		"a provider that nobody knows":     {[]string{"--provider=AESGCM"}, `unknown provider "AESGCM"`},
		"resume":                           {[]string{"--resume", "--yes"}, ""},
		"abort":                            {[]string{"--abort", "-y"}, ""},
		"forth and back at once":           {[]string{"--resume", "--abort"}, "--resume and --abort exclude each other"},
		"a provider for a key that exists": {[]string{"--resume", "--provider=aesgcm"}, "--provider is for a new key"},
		"a provider for a key that goes":   {[]string{"--abort", "--provider=aesgcm"}, "--provider is for a new key"},
		"the least to keep":                {[]string{"--keep=2"}, ""},
		"too little to keep":               {[]string{"--keep=1"}, "--keep must be at least 2"},
		"less than nothing to keep":        {[]string{"--keep=-1"}, "--keep must be at least 2"},
		"on without a node":                {[]string{"--ignore-node=n3,n4.example.com"}, ""},
		"on without what is no node":       {[]string{"--ignore-node=N3"}, `--ignore-node "N3" is not the name of a node`},
		"back without a node":              {[]string{"--abort", "--ignore-node=n3"}, "--abort needs every node"},
		"events as JSON":                   {[]string{"-o", "json"}, ""},
		"a plan as YAML":                   {[]string{"-o", "yaml", "--dry-run"}, ""},
		"events as YAML":                   {[]string{"-o", "yaml"}, "--output yaml is for --dry-run"},
		"a table":                          {[]string{"-o", "wide"}, `--output "wide" is not one of json, yaml`},
		"no time for the Job":              {[]string{"--job-timeout=0s"}, "--job-timeout and --converge-timeout must be longer than nothing"},
		"less than no time to converge":    {[]string{"--converge-timeout=-1s"}, "must be longer than nothing"},
		"no image":                         {[]string{"--agent-image="}, "--agent-image must name an image"},
		"a concurrency":                    {[]string{"--concurrency=64"}, ""},
		"too much at the same time":        {[]string{"--concurrency=65"}, "--concurrency must be from 0 to 64"},
		"less than nothing at a time":      {[]string{"--concurrency=-1"}, "--concurrency must be from 0 to 64"},
		"a negative rate":                  {[]string{"--max-rate=-0.5"}, "--max-rate must not be negative"},
		"two things at once are both told": {[]string{"--max-rate=-1", "--agent-image="}, "--agent-image must name an image\n--max-rate must not be negative"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := flags(t, tt.args...).Validate()
			if tt.message == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, tt.message)
		})
	}
}
