// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agent"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

func TestDescribeRestoration(t *testing.T) {
	t.Parallel()
	two, one := encconfig.Key{Provider: encconfig.AESGCM, Name: "2"}, encconfig.Key{Provider: encconfig.AESGCM, Name: "1"}
	r := agent.Restoration{
		Path: "/etc/kubernetes/encryption/config.yaml",
		Revision: agentapi.Revision{Number: 4, Time: time.Date(2026, 11, 21, 20, 13, 49, 0, time.UTC), Run: "33559b71", Config: encconfig.Description{
			Digest: "sha256:new", Rules: []encconfig.Rule{{Resources: []string{"secrets"}, Keys: []encconfig.Key{two, one}}},
		}},
		Replaced: "sha256:old", Problem: "it is not understood: line 4: resources must be a plain list", Lacking: []encconfig.Key{one}, Skipped: []int{6, 5},
	}
	r.Unclear = true
	assert.Equal(t, `/etc/kubernetes/encryption/config.yaml: it is not understood: line 4: resources must be a plain list
revision 4 of 2026-11-21 20:13:49 UTC (run 33559b71), sha256:new, would be put there
  it writes with aesgcm/2 and reads aesgcm/2, aesgcm/1
  what is there, sha256:old, is kept in /etc/kubernetes/kubectl-encryption
  newer ones are not understood, or can't be read: 6 5
warning: which keys are there now can't be told; a kube-apiserver may take what is not understood here: if one runs with it, leave it
warning: it lacks keys that are there now: aesgcm/1; what is stored with them can't be read until they are back
`, describeRestoration(r))
	r.Unclear = false
	assert.Contains(t, describeRestoration(r), "config.yaml is not usable: it is not understood")
	assert.NotContains(t, describeRestoration(r), "may take", "no kube-apiserver does")
	r.Already = true
	assert.Equal(t, "already there: /etc/kubernetes/encryption/config.yaml is revision 4, sha256:old\n", describeRestoration(r))
	assert.Contains(t, restored(r), "restored /etc/kubernetes/encryption/config.yaml, sha256:new\nnext: a kube-apiserver that is down reads it")
}

func TestAgreed_anythingButYesIsNo(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, "yes": true, "n\n": false, "\n": false, "": false, "yesno\n": false} {
		var out bytes.Buffer
		assert.Equal(t, want, agreed(t.Context(), strings.NewReader(answer), &out), "%q", answer)
		assert.Contains(t, out.String(), "Continue? [y/N] ")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in, answers := io.Pipe() // nobody sits there
	assert.False(t, agreed(ctx, in, &bytes.Buffer{}), "an interruption is a no")
	assert.NoError(t, answers.Close())
}
