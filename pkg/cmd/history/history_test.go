// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/history"
)

var update = flag.Bool("update", false, "write the golden files anew")

func answers() []history.Answer {
	key := func(name string) encconfig.Key {
		return encconfig.Key{Provider: encconfig.AESGCM, Name: name, Fingerprint: "110ae1406c552f0" + name}
	}
	config := func(digest string, list ...encconfig.Key) encconfig.Description {
		return encconfig.Description{Digest: "sha256:" + digest, Rules: []encconfig.Rule{{Resources: []string{"secrets", "configmaps"}, Keys: list}}}
	}
	plain := encconfig.Key{Provider: encconfig.Identity}
	first, both, second := config("aaaaaaaaaaaaaa", plain, key("1")), config("bbbbbbbbbbbbbb", key("1"), plain), config("cccccccccccccc", key("2"), key("1"), plain)
	at := time.Date(2026, 11, 20, 10, 11, 12, 0, time.UTC)
	revisions := []agentapi.Revision{
		{Number: 1, Time: at, Run: "1a2b3c4d", Config: first},
		{Number: 2, Time: at.Add(time.Minute), Run: "1a2b3c4d", Config: both},
		{Number: 3, Time: at.Add(24 * time.Hour), Run: "5e6f7a8b", Config: second},
	}
	return []history.Answer{
		{Node: "n1", State: &agentapi.State{Config: &second, Digest: second.Digest, History: revisions}},
		{Node: "n2", State: &agentapi.State{Digest: "sha256:dddddddddddddd", ModTime: at, History: revisions[:2], Problem: &agentapi.Error{
			Code: agentapi.Invalid, Message: "the encryption configuration is not understood: line 3 \x1b[31m",
		}}},
		{Node: "n3", Err: errors.New("the agent did not start on node n3 within 2m0s")},
	}
}

func TestRun_showsEveryNodeAndFailsIfOneDidNotTell(t *testing.T) {
	t.Parallel()
	for name, wide := range map[string]bool{"table.txt": false, "wide.txt": true} {
		var out bytes.Buffer
		o := &Options{
			Read: func(context.Context) ([]history.Answer, error) { return answers(), nil }, Cluster: v1alpha1.Cluster{}, Print: table(wide), Out: &out,
		}
		err := o.Run(t.Context())
		require.ErrorContains(t, err, "not every node has told")
		assert.Equal(t, hint.ExitError, hint.ExitCode(err))
		path := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile(path, out.Bytes(), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, string(want), out.String())
	}
	o := &Options{Read: func(context.Context) ([]history.Answer, error) { return answers()[:1], nil }, Print: table(false), Out: &bytes.Buffer{}}
	require.NoError(t, o.Run(t.Context()))
}

func TestValidate(t *testing.T) {
	t.Parallel()
	assert.NoError(t, (&Flags{Image: "i", JobTimeout: time.Second}).Validate())
	assert.ErrorContains(t, (&Flags{Image: "i"}).Validate(), "--job-timeout")
	assert.ErrorContains(t, (&Flags{JobTimeout: time.Second}).Validate(), "--agent-image")
}
