// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/verify"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args    []string
		message string // empty for valid flags
	}{
		"none":                             {nil, ""},
		"all that a cluster takes":         {[]string{"--resources=secrets,*.apps", "--all", "--decrypt", "--max-rate=5", "--job-timeout=1m", "--agent-image=i"}, ""},
		"all that a file takes":            {[]string{"--snapshot=f", "--config=c", "--decrypt", "--etcd-prefix=/x", "--accept-altered", "--all", "--resources=secrets"}, ""},
		"a file that has no name":          {[]string{"--snapshot="}, "--snapshot must name a file"},
		"a configuration for a cluster":    {[]string{"--config=c"}, "--config is for --snapshot"},
		"a prefix for a cluster":           {[]string{"--etcd-prefix=/registry"}, "--etcd-prefix is for --snapshot"},
		"an altered cluster":               {[]string{"--accept-altered"}, "--accept-altered is for --snapshot"},
		"a rate for a file":                {[]string{"--snapshot=f", "--max-rate=5"}, "--max-rate is for a cluster, not for --snapshot"},
		"an agent for a file":              {[]string{"--snapshot=f", "--agent-image=i"}, "--agent-image is for a cluster, not for --snapshot"},
		"a time for a file":                {[]string{"--snapshot=f", "--job-timeout=1m"}, "--job-timeout is for a cluster, not for --snapshot"},
		"values opened without keys":       {[]string{"--snapshot=f", "--decrypt"}, "--decrypt needs keys: --config names the EncryptionConfiguration that has them"},
		"old values of a file, by nothing": {[]string{"--snapshot=f", "--residue"}, "--residue needs to know which key is the present one: --config names the EncryptionConfiguration"},
		"old values of a file":             {[]string{"--snapshot=f", "--residue", "--config=c"}, ""},
		"old values of a cluster":          {[]string{"--residue"}, ""},
		"no resource":                      {[]string{"--resources="}, "--resources must name what to look at, such as --resources secrets,configmaps"},
		"what no resource can be":          {[]string{"--resources=Secrets"}, `resource "Secrets": a resource is not written as the name of a resource`},
		"a wildcard that says nothing":     {[]string{"--resources=*"}, `resource "*": resource "*": "*." stands for the core group and "*.*" for everything`},
		"no image":                         {[]string{"--agent-image="}, "--agent-image must name an image"},
		"no time":                          {[]string{"--job-timeout=0s"}, "--job-timeout must be longer than nothing"},
		"less than one value in a second":  {[]string{"--max-rate=0.5"}, "--max-rate must be 0, for no limit, or at least 1"},
		"less than nothing":                {[]string{"--max-rate=-1"}, "--max-rate must be 0, for no limit, or at least 1"},
		"a rate that is not a number":      {[]string{"--max-rate=NaN"}, "--max-rate must be 0, for no limit, or at least 1"},
		"a file, and no image is compiled": {[]string{"--snapshot=f"}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, cmd := flagsFor(t, tt.args)
			err := f.Validate(cmd)
			if tt.message == "" {
				assert.NoError(t, err)
				return
			}
			assert.EqualError(t, err, tt.message)
		})
	}
}

// flagsFor parses flags. The image is one that a build would have compiled in.
func flagsFor(t *testing.T, args []string) (f *Flags, given func(string) bool) {
	t.Helper()
	f, cmd := newCommand(options.Shared{IOStreams: genericiooptions.NewTestIOStreamsDiscard(), Config: genericclioptions.NewConfigFlags(true)})
	f.Image = "compiled-in"
	require.NoError(t, cmd.ParseFlags(args))
	return f, cmd.Flags().Changed
}

func TestAFileNeedsNoCluster(t *testing.T) {
	t.Parallel()
	f, _ := flagsFor(t, []string{"--snapshot=/no/such/file"})
	f.Config = ""
	f.Shared.Config = nil // whoever asks for a cluster meets this
	o, closeSink, err := f.ToOptions()
	require.NoError(t, err)
	defer closeSink()
	assert.ErrorContains(t, o.Run(t.Context()), "/no/such/file")
}

func TestRunPrintsFirstAndThenExits(t *testing.T) {
	t.Parallel()
	key := encconfig.Key{Provider: encconfig.AESGCM, Name: "1"}
	config := encconfig.Description{Digest: "sha256:c", Rules: []encconfig.Rule{{Resources: []string{"secrets"}, Keys: []encconfig.Key{key}}}}
	for name, tt := range map[string]struct {
		mark    stored.Mark
		whole   []string
		exit    int
		message string
	}{
		"all is well":         {stored.Mark{Form: stored.Encrypted, Provider: encconfig.AESGCM, Key: "1"}, []string{"secrets"}, 0, ""},
		"something was found": {stored.Mark{Form: stored.Undecodable}, []string{"secrets"}, 2, "not everything is stored as it should be, see the verdict"},
		"nothing is proven":   {stored.Mark{Form: stored.Encrypted, Provider: encconfig.AESGCM, Key: "1"}, nil, 1, "nothing wrong was found, but not everything could be looked at, see the verdict"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := census.NewCounter(config, "secrets", 0)
			c.Add([]byte("ns/a"), tt.mark)
			var out bytes.Buffer
			o := &Options{Print: table(false), Out: &out, Verify: func(context.Context) (*verify.Result, error) {
				return &verify.Result{Census: census.Of(config, tt.whole, c.Tally()), Config: config}, nil
			}}
			err := o.Run(t.Context())
			assert.Equal(t, tt.exit, hint.ExitCode(err))
			if tt.message != "" {
				assert.EqualError(t, err, tt.message)
			}
			assert.Contains(t, out.String(), "RESOURCE")
		})
	}
}

func TestWhatIsLeftOfOldValuesDecidesWhereTheRestIsWell(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		stored, left string
		exit         int
		message      string
	}{
		"nothing is left":                {v1alpha1.Clean, v1alpha1.Clean, 0, ""},
		"something is":                   {v1alpha1.Clean, v1alpha1.Found, 2, "copies of old values are left on disk, see the residue"},
		"and not everything counted":     {v1alpha1.Unproven, v1alpha1.Found, 2, "copies of old values are left on disk, see the residue"},
		"not everything was searched":    {v1alpha1.Clean, v1alpha1.Unproven, 1, "no old value was found, but not everything could be searched, see the residue"},
		"what is stored counts for more": {v1alpha1.Found, v1alpha1.Found, 2, "not everything is stored as it should be, see the verdict"},
		"not everything was counted":     {v1alpha1.Unproven, v1alpha1.Clean, 1, "nothing wrong was found, but not everything could be looked at, see the verdict"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := outcome(&v1alpha1.VerificationReport{Outcome: tt.stored, Residue: &v1alpha1.VerificationResidue{Outcome: tt.left}})
			assert.Equal(t, tt.exit, hint.ExitCode(err))
			if tt.message != "" {
				assert.EqualError(t, err, tt.message)
			}
		})
	}
}

func TestRunTellsWhatWentWrong(t *testing.T) {
	t.Parallel()
	o := &Options{Verify: func(context.Context) (*verify.Result, error) { return nil, errors.New("no") }, Print: table(false), Out: io.Discard}
	require.EqualError(t, o.Run(t.Context()), "no")
	o.Verify = func(context.Context) (*verify.Result, error) { return &verify.Result{}, nil }
	o.Print = func(runtime.Object, io.Writer) error { return io.ErrClosedPipe }
	assert.ErrorIs(t, o.Run(t.Context()), io.ErrClosedPipe)
}
