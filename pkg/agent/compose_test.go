// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/seal"
)

// described are the keys of exampleConfig with their fingerprints, and identity behind them.
func described(t *testing.T, names ...string) []encconfig.Key {
	t.Helper()
	doc, err := encconfig.Parse(exampleConfig(names...))
	require.NoError(t, err)
	return doc.Describe().Rules[0].Keys
}

func ruleOf(t *testing.T, names ...string) []encconfig.Rule {
	t.Helper()
	return []encconfig.Rule{{Resources: []string{"secrets"}, Keys: described(t, names...)}}
}

func nodeNamed(t *testing.T, name string, config []byte) *node {
	t.Helper()
	n := newNode(t, config)
	n.Node = name
	return n
}

func (n *node) export(to *node, names ...string) agentapi.Response {
	n.t.Helper()
	keys := described(n.t, names...)
	return n.ask(agentapi.Request{Op: agentapi.Export, Export: &agentapi.Exporting{
		Keys: keys[:len(keys)-1], Recipient: to.Node, PublicKey: to.identity.PublicKey(),
	}})
}

func (n *node) compose(base string, exported []agentapi.Exported, wanted ...agentapi.Wanted) agentapi.Response {
	n.t.Helper()
	return n.ask(agentapi.Request{Op: agentapi.Compose, Compose: &agentapi.Composition{Base: base, Exported: exported, Wanted: wanted}})
}

func (n *node) wants(names ...string) agentapi.Wanted {
	n.t.Helper()
	w := agentapi.Wanted{Node: n.Node, PublicKey: n.identity.PublicKey(), Rules: ruleOf(n.t, names...)}
	if data, err := os.ReadFile(n.path()); err == nil {
		w.From = encconfig.Digest(data)
	}
	return w
}

// TestCompose_bringsNodesTogether: an older file, one with a key of its own, one that is gone with a key that is in its
// history alone.
func TestCompose_bringsNodesTogether(t *testing.T) {
	t.Parallel()
	base, edited, lost := nodeNamed(t, "n1", exampleConfig("2", "1")), nodeNamed(t, "n2", exampleConfig("9", "1")), nodeNamed(t, "n3", nil)
	writeHistory(t, lost, "000001-20261120T101112Z-run-0.yaml", string(exampleConfig("8")))
	before := snapshot(t, base)
	var exported []agentapi.Exported
	for _, answer := range []agentapi.Response{edited.export(base, "9"), lost.export(base, "8")} {
		require.Nil(t, answer.Error)
		exported = append(exported, *answer.Exported)
	}

	answer := base.compose(base.digest(), exported, base.wants("2", "1", "9", "8"), edited.wants("9", "2", "1", "8"), lost.wants("2", "1", "9", "8"))

	require.Nil(t, answer.Error)
	assert.Equal(t, before, snapshot(t, base), "nothing is changed")
	for _, n := range []*node{base, edited, lost} {
		made := answer.Composed.Configs[n.Node]
		resp := n.install(agentapi.Installation{From: n.wants("1").From, To: made.Digest, Sealed: answer.Composed.Sealed[n.Node]})
		require.Nil(t, resp.Error)
	}
	assert.Equal(t, exampleConfig("2", "1", "9", "8"), readFile(t, base.path()))
	assert.Equal(t, exampleConfig("9", "2", "1", "8"), readFile(t, edited.path()), "each gets its own")
	assert.Equal(t, exampleConfig("2", "1", "9", "8"), readFile(t, lost.path()))
}

func TestCompose_beginsWithTheHistoryWhereTheFileIsGone(t *testing.T) {
	t.Parallel()
	n := newNode(t, []byte("garbage"))
	writeHistory(t, n, "000001-20261120T101112Z-run-0.yaml", "# ours\n"+string(exampleConfig("2", "1")))
	kept := "# ours\n" + string(exampleConfig("2", "1"))
	answer := n.compose(encconfig.Digest([]byte(kept)), nil, n.wants("2", "1"))
	require.Nil(t, answer.Error)
	made := answer.Composed.Configs["n1"]
	assert.Equal(t, encconfig.Digest([]byte(kept)), made.Digest, "the very bytes")
	require.Nil(t, n.install(agentapi.Installation{From: n.digest(), To: made.Digest, Sealed: answer.Composed.Sealed["n1"]}).Error)
	assert.Equal(t, kept, string(readFile(t, n.path())))
	assert.Equal(t, "garbage", string(readFile(t, n.HistoryDir+"/000002-20261120T101112Z-run-1.yaml")), "what was there is kept")
}

func TestCompose_refusesWhatWasChangedOnItsWay(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		change  func(t *testing.T, base *node, e *agentapi.Exported)
		message string
	}{
		{"a bit of what is sealed", func(_ *testing.T, _ *node, e *agentapi.Exported) { e.Sealed[len(e.Sealed)-1] ^= 1 }, "can't be opened"},
		{"nothing sealed", func(_ *testing.T, _ *node, e *agentapi.Exported) { e.Sealed = nil }, "can't be opened"},
		{"the node that it is said to come from", func(_ *testing.T, _ *node, e *agentapi.Exported) { e.Node = "n3" }, "can't be opened"},
		{"a key's name", func(_ *testing.T, _ *node, e *agentapi.Exported) { e.Keys[0].Name = "7" }, "can't be opened"},
		{"a key's fingerprint", func(_ *testing.T, _ *node, e *agentapi.Exported) { e.Keys[0].Fingerprint = "0" }, "can't be opened"},
		{"a key more", func(_ *testing.T, _ *node, e *agentapi.Exported) { e.Keys = append(e.Keys, e.Keys[0]) }, "can't be opened"},
		{"another run's", func(_ *testing.T, base *node, _ *agentapi.Exported) { base.Run = "run-2" }, "can't be opened"},
		{"another node's", func(_ *testing.T, base *node, _ *agentapi.Exported) { base.Node = "n4" }, "can't be opened"},
		{"an agent's that is gone", func(_ *testing.T, base *node, _ *agentapi.Exported) { base.identity = base.restarted("run-1").identity }, "can't be opened"},
		{"a proposal in its place", func(_ *testing.T, base *node, e *agentapi.Exported) {
			e.Sealed = base.prepared(addKey("10")).Sealed
		}, "can't be opened"},
		{"keys that are not what they are called", func(t *testing.T, base *node, e *agentapi.Exported) {
			liar := newNode(t, exampleConfig("9"))
			liar.Node = "n2"
			e.Keys[0].Fingerprint = "0"
			sealed, err := sealedKeys(liar, base, e.Keys, exampleKey("9").Base64())
			require.NoError(t, err)
			e.Sealed = sealed
		}, "not those that were announced"},
		{"fewer keys than announced", func(t *testing.T, base *node, e *agentapi.Exported) {
			liar := newNode(t, nil)
			liar.Node = "n2"
			sealed, err := sealedKeys(liar, base, e.Keys)
			require.NoError(t, err)
			e.Sealed = sealed
		}, "not those that were announced"},
	}
	for _, tt := range tests {
		t.Run(tt.name+" => refused", func(t *testing.T) {
			t.Parallel()
			base, other := nodeNamed(t, "n1", exampleConfig("2", "1")), nodeNamed(t, "n2", exampleConfig("9"))
			answer := other.export(base, "9")
			require.Nil(t, answer.Error)
			tt.change(t, base, answer.Exported)
			answer = base.compose(base.digest(), []agentapi.Exported{*answer.Exported}, base.wants("2", "1", "9"))
			require.NotNil(t, answer.Error)
			assert.Equal(t, agentapi.NotSealed, answer.Error.Code)
			assert.Contains(t, answer.Error.Message, tt.message)
			assert.Nil(t, answer.Composed)
		})
	}
}

// sealedKeys is what a node could send that may talk to an agent and lies.
func sealedKeys(from, to *node, keys []encconfig.Key, secrets ...string) ([]byte, error) {
	message, err := json.Marshal(secrets)
	if err != nil {
		return nil, err
	}
	c := exportContext(from.Run, to.Node, agentapi.Exported{Node: from.Node, Keys: keys})
	return seal.Seal(to.identity.PublicKey(), c, message)
}

func TestCompose_whatIsSealedFitsNowhereElse(t *testing.T) {
	t.Parallel()
	base, other := nodeNamed(t, "n1", exampleConfig("2", "1")), nodeNamed(t, "n2", exampleConfig("9", "1"))
	exported := other.export(base, "9")
	require.Nil(t, exported.Error)
	answer := base.compose(base.digest(), []agentapi.Exported{*exported.Exported}, other.wants("9", "2", "1"))
	require.Nil(t, answer.Error)
	i := agentapi.Installation{From: other.digest(), To: answer.Composed.Configs["n2"].Digest, Sealed: answer.Composed.Sealed["n2"]}

	assert.Equal(t, agentapi.NotSealed, base.install(agentapi.Installation{From: base.digest(), To: i.To, Sealed: i.Sealed}).Error.Code, "on another node")
	other.write(exampleConfig("3"))
	changed := i
	changed.From = other.digest()
	assert.Equal(t, agentapi.NotSealed, other.install(changed).Error.Code, "in the place of another file")
	assert.Equal(t, agentapi.Changed, other.install(i).Error.Code, "where the file has changed meanwhile")
	keys := agentapi.Installation{From: base.digest(), To: exportContext("run-1", "n1", *exported.Exported).To, Sealed: exported.Exported.Sealed}
	assert.Equal(t, agentapi.NotSealed, base.install(keys).Error.Code, "keys are no configuration")
}

func TestExportAndCompose_refuse(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("2", "1"))
	other := nodeNamed(t, "n2", exampleConfig("9"))
	unlike := described(t, "2")[:1]
	unlike[0].Fingerprint = "0"
	tests := map[string]struct {
		resp    agentapi.Response
		code    agentapi.Code
		message string
	}{
		"a key that is not here":                   {n.export(other, "9"), agentapi.Changed, "key aesgcm/9 is neither in the file"},
		"another key of a name that is here":       {n.ask(agentapi.Request{Op: agentapi.Export, Export: &agentapi.Exporting{Keys: unlike, Recipient: "n2", PublicKey: other.identity.PublicKey()}}), agentapi.Changed, "key aesgcm/2 is neither"},
		"a public key that is none":                {n.ask(agentapi.Request{Op: agentapi.Export, Export: &agentapi.Exporting{Keys: described(t, "2")[:1], Recipient: "n2", PublicKey: []byte("x")}}), agentapi.BadRequest, "no valid public key"},
		"a base that is not here":                  {n.compose(encconfig.Digest(nil), nil, n.wants("2")), agentapi.Changed, "neither the file of this node nor in its history"},
		"a key that nobody has handed out":         {n.compose(n.digest(), nil, n.wants("2", "9")), agentapi.BadRequest, "key aesgcm/9, which the configuration is to have, is not here"},
		"rules that kube-apiserver would not take": {n.compose(n.digest(), nil, agentapi.Wanted{Node: "n1", PublicKey: n.identity.PublicKey(), Rules: append(ruleOf(t, "2"), ruleOf(t, "1")...)}), agentapi.Invalid, "listed twice"},
	}
	for name, tt := range tests {
		t.Run(name+" => refused", func(t *testing.T) {
			t.Parallel()
			require.NotNil(t, tt.resp.Error)
			assert.Equal(t, tt.code, tt.resp.Error.Code)
			assert.Contains(t, tt.resp.Error.Message, tt.message)
			assert.Nil(t, tt.resp.Exported)
			assert.Nil(t, tt.resp.Composed)
		})
	}
}

// sealedPart matches what differs from run to run in these answers.
var sealedPart = regexp.MustCompile(`"(publicKey|sealed|n1|n2)":"[A-Za-z0-9+/=]{64,}"`)

func TestServe_repairSession(t *testing.T) {
	t.Parallel()
	base, other := nodeNamed(t, "n1", exampleConfig("2", "1")), nodeNamed(t, "n2", exampleConfig("9"))
	at := base.Now()
	var out bytes.Buffer
	say := func(n *node, req agentapi.Request) (resp agentapi.Response) {
		require.NoError(t, os.Chtimes(n.path(), at, at))
		req.Version = agentapi.Version
		line, err := json.Marshal(req)
		require.NoError(t, err)
		begin := out.Len()
		require.NoError(t, n.Serve(t.Context(), bytes.NewReader(append(line, '\n')), &out))
		require.NoError(t, json.Unmarshal(out.Bytes()[begin:], &resp))
		return resp
	}
	exported := say(other, agentapi.Request{Op: agentapi.Export, Export: &agentapi.Exporting{
		Keys: described(t, "9")[:1], Recipient: "n1", PublicKey: base.identity.PublicKey(),
	}}).Exported
	require.NotNil(t, exported)
	composed := say(base, agentapi.Request{Op: agentapi.Compose, Compose: &agentapi.Composition{
		Base: base.digest(), Exported: []agentapi.Exported{*exported},
		Wanted: []agentapi.Wanted{base.wants("2", "1", "9"), other.wants("9", "2", "1")},
	}}).Composed
	require.NotNil(t, composed)

	for _, name := range []string{"1", "2", "9"} {
		assertNoKey(t, out.Bytes(), exampleKey(name).Base64())
	}
	golden := sealedPart.ReplaceAllString(out.String(), `"$1":"…"`)
	golden = regexp.MustCompile(`"modTime":"[^"]*"`).ReplaceAllString(golden, `"modTime":"…"`)
	assertGolden(t, "repair.jsonl", golden)
}
