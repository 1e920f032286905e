// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package join_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/bundle"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/join"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
)

func publicKey() []byte { return bytes.Repeat([]byte{7}, 1216) }

func newFlags() *join.Flags {
	return &join.Flags{
		Recipient: bundle.EncodeRecipient(publicKey()), Name: "join",
		Agent: options.Agent{Image: "i", JobTimeout: time.Minute, ConvergeTimeout: time.Minute},
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change  func(*join.Flags)
		message string // empty for valid flags
	}{
		"a recipient":           {func(*join.Flags) {}, ""},
		"the name of a node":    {func(f *join.Flags) { f.Name = "n3.example.com" }, ""},
		"no recipient":          {func(f *join.Flags) { f.Recipient = "" }, "--recipient must be the public key of the node that the bundle is for"},
		"a name with a space":   {func(f *join.Flags) { f.Name = "new node" }, `--name: "new node" is not the name of a node: at most 128 lower-case letters, digits, '-' and '.'`},
		"no name":               {func(f *join.Flags) { f.Name = "" }, `--name: "" is not the name of a node: at most 128 lower-case letters, digits, '-' and '.'`},
		"no image":              {func(f *join.Flags) { f.Agent.Image = "" }, "--agent-image must name an image"},
		"no time for the agent": {func(f *join.Flags) { f.Agent.JobTimeout = 0 }, "--job-timeout and --converge-timeout must be longer than nothing"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFlags()
			tt.change(f)
			err := f.Validate()
			if tt.message == "" {
				assert.NoError(t, err)
				return
			}
			assert.EqualError(t, err, tt.message)
		})
	}
}

func TestToOptions_readsTheRecipient(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := bundle.EncodeRecipient(publicKey())
	file := filepath.Join(dir, "recipient.txt")
	require.NoError(t, os.WriteFile(file, []byte(key+"\n"), 0o600))
	kubeconfig := filepath.Join(dir, "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, []byte(`apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {token: made-up}}]
`), 0o600))
	tests := map[string]struct{ flag, stdin, message string }{
		"by itself":                {key, "", ""},
		"in a file":                {"@" + file, "", ""},
		"on stdin":                 {"-", key + "\n", ""},
		"cut":                      {key[:100], "", "--recipient: the recipient has 100 characters"},
		"nothing on stdin":         {"-", "", "--recipient: the recipient is empty"},
		"a file that there is not": {"@" + file + ".old", "", "--recipient: open "},
		"a file with other things": {"@" + kubeconfig, "", `--recipient: the recipient does not begin with "ker1"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFlags()
			f.Recipient = tt.flag
			f.IOStreams, f.LookupEnv = genericiooptions.NewTestIOStreamsDiscard(), func(string) (string, bool) { return "", false }
			f.In = strings.NewReader(tt.stdin)
			f.Config = genericclioptions.NewConfigFlags(true)
			f.Config.KubeConfig = &kubeconfig
			o, closeSink, err := f.ToOptions()
			if tt.message != "" {
				require.ErrorContains(t, err, tt.message)
				return
			}
			require.NoError(t, err)
			defer closeSink()
			assert.Equal(t, publicKey(), o.PublicKey)
			assert.Equal(t, "join", o.Name)
		})
	}
}

type joiner struct {
	bundle bundle.Bundle
	err    error
}

func (j joiner) Join(context.Context, []byte, string) (bundle.Bundle, error) { return j.bundle, j.err }

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestRun_printsTheBundleAlone(t *testing.T) {
	t.Parallel()
	b := bundle.New("/etc/kubernetes/encryption/config.yaml", "sha256:"+strings.Repeat("ab", 32), "0266", "join", publicKey(), time.Unix(1, 0))
	b.Sealed = []byte("sealed")
	var out bytes.Buffer
	var events []event.Event
	o := &join.Options{Joiner: joiner{bundle: b}, Out: &out, Emit: func(e event.Event) { events = append(events, e) }}

	require.NoError(t, o.Run(t.Context()))

	printed, err := bundle.Parse(out.Bytes())
	require.NoError(t, err)
	assert.Equal(t, b, printed)
	require.Len(t, events, 1)
	assert.Contains(t, events[0].(event.Finished).Text, "/etc/kubernetes/encryption/config.yaml is sealed to the recipient sha256:")
	assert.Contains(t, events[0].(event.Finished).Text, "until 1970-01-02 00:00 UTC it can be installed there")
}

func TestRun_printsNothingIfThereIsNoBundle(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	var events []event.Event
	o := &join.Options{Joiner: joiner{err: errors.New("no control plane")}, Out: &out, Emit: func(e event.Event) { events = append(events, e) }}
	require.EqualError(t, o.Run(t.Context()), "no control plane")
	assert.Empty(t, out.String())
	assert.Equal(t, []event.Event{event.Failed{Error: "no control plane"}}, events)
}

func TestRun_saysThatItCouldNotPrint(t *testing.T) {
	t.Parallel()
	b := bundle.New("/etc/kubernetes/encryption/config.yaml", "sha256:"+strings.Repeat("ab", 32), "0266", "join", publicKey(), time.Unix(1, 0))
	b.Sealed = []byte("sealed")
	o := &join.Options{Joiner: joiner{bundle: b}, Out: brokenPipe{}, Emit: func(event.Event) {}}
	assert.EqualError(t, o.Run(t.Context()), "print bundle: broken pipe")
}
