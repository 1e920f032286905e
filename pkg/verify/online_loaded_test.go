// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/reload"
)

func TestOnline_judges_by_the_first_node_that_reads_a_file_and_says_who_does_not_run_with_it(t *testing.T) {
	t.Parallel()
	config := rules("secrets", encrypting)
	v := view(onNode("n1", ""), onNode("n2", "/c"), onNode("n3", "/c"), onNode("n4", "/c"))
	v.Evidence["n3"] = reload.Evidence{TellsHash: true, Hash: "sha256:y"}
	v.Evidence["n4"] = reload.Evidence{}
	node := judge(v)
	assert.Equal(t, "n2", node.Node)
	notes := loadedElsewhere(v, node, config)
	require.Len(t, notes, 2)
	assert.Contains(t, notes[0], "node n1 reads no configuration")
	assert.Contains(t, notes[1], "node n3 runs with another configuration than the file of node n2")

	off := view(onNode("n1", ""), onNode("n2", ""))
	assert.Equal(t, "n1", judge(off).Node)
	assert.Empty(t, loadedElsewhere(off, judge(off), encconfig.Description{}))
}

// Before Kubernetes 1.34 no kube-apiserver tells the hash of what it has loaded.
func TestOnline_takes_a_kube_apiserver_that_does_not_tell_for_one_that_runs_with_another_file(t *testing.T) {
	t.Parallel()
	config := rules("secrets", encrypting)
	written := time.Unix(1_800_000_000, 0)
	same, other := agentapi.State{Digest: config.Digest, ModTime: written}, agentapi.State{Digest: "sha256:y", ModTime: written}
	since, before := reload.Evidence{LastSuccess: written.Add(time.Second)}, reload.Evidence{LastSuccess: written.Add(-time.Second)}
	tells := reload.Evidence{TellsHash: true, Hash: config.Digest}
	for name, tt := range map[string]struct {
		second reload.Evidence
		path   string
		state  *agentapi.State
		failed error
		want   string
	}{
		"it has read that very file since it was written":   {since, "/c", &same, nil, ""},
		"it has not read its file since it was written":     {before, "/c", &same, nil, "it has not reloaded since the file was written; judged by the file of node n1"},
		"its node's file is another one, which it has read": {since, "/c", &other, nil, "its file is another one than that of node n1"},
		"its node has told nothing":                         {since, "/c", nil, nil, "its file is another one than that of node n1"},
		"the nodes can't be asked":                          {since, "/c", nil, errors.New("no agent"), "could not be compared: no agent"},
		"it tells":                                          {tells, "/c", nil, errors.New("no agent"), ""},
		"it reads none":                                     {since, "", nil, errors.New("no agent"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := view(onNode("n1", "/c"), onNode("n2", tt.path))
			v.Evidence["n2"] = tt.second
			doubts := notProven(v, map[string]*agentapi.State{"n1": &same, "n2": tt.state}, tt.failed, judge(v), config)
			if tt.want == "" {
				assert.Empty(t, doubts)
				return
			}
			require.Len(t, doubts, 1)
			assert.Contains(t, doubts[0], tt.want)
			assert.Contains(t, doubts[0], "node n2")
		})
	}
}

func TestOnline_calls_no_key_unused_that_an_unproven_kube_apiserver_may_write_with(t *testing.T) {
	t.Parallel()
	v := view(onNode("n1", "/c"), onNode("n2", "/c"))
	v.Evidence["n2"] = reload.Evidence{}
	config := rules("secrets", encrypting)
	r := &Result{Config: config, Source: Source{Node: "n1"}, Everything: true}
	r.Census.Whole = []string{allResources}
	r.Census.Tallies = append(r.Census.Tallies, part("secrets", 2))
	proven, _ := verdict(r)
	require.NotEmpty(t, proven.Unused, "without the doubt there is one")

	r.Doubts = notProven(v, map[string]*agentapi.State{"n2": {Digest: "sha256:y"}}, nil, judge(v), config)
	doubtful, _ := verdict(r)
	assert.Empty(t, doubtful.Unused)
	assert.Contains(t, doubtful.UnusedUnknown, "on node n2 does not tell which configuration it has loaded")
}

func TestOnline_doubts_a_search_during_which_a_kube_apiserver_may_have_loaded_something_else(t *testing.T) {
	t.Parallel()
	config := rules("secrets", encrypting)
	started := time.Unix(1_800_000_000, 0)
	silent := reload.Evidence{Started: started, LastSuccess: started.Add(time.Minute)}
	reloaded, restarted := silent, silent
	reloaded.LastSuccess, restarted.Started = started.Add(time.Hour), started.Add(time.Hour)
	tells := reload.Evidence{TellsHash: true, Hash: config.Digest, Started: started}
	rotated := tells
	rotated.Hash = "sha256:y"
	for name, tt := range map[string]struct {
		before, now reload.Evidence
		want        string
	}{
		"nothing has changed":                               {tells, tells, ""},
		"it tells that it has loaded something else":        {tells, rotated, "the configuration was changed while"},
		"it does not answer any more":                       {tells, reload.Evidence{}, "may have loaded another"},
		"nothing has changed where it does not tell":        {silent, silent, ""},
		"one that does not tell has reloaded":               {silent, reloaded, "may have loaded another"},
		"one that does not tell has restarted":              {silent, restarted, "may have loaded another"},
		"one that does not tell does not answer any more":   {silent, reload.Evidence{}, "may have loaded another"},
		"it tells of the same file after it was restarted":  {tells, reload.Evidence{TellsHash: true, Hash: config.Digest, Started: started.Add(time.Hour)}, ""},
		"it was another one before that tells now the same": {silent, tells, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := view(onNode("n1", "/c"), onNode("n2", "/c"))
			now.Evidence = map[string]reload.Evidence{"n1": tells, "n2": tt.now}
			doubts := changedSince(map[string]reload.Evidence{"n1": tells, "n2": tt.before}, now, judge(now), config)
			if tt.want == "" {
				assert.Empty(t, doubts)
				return
			}
			require.Len(t, doubts, 1)
			assert.Contains(t, doubts[0], tt.want)
		})
	}
}
