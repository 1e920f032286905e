// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
)

func TestServe_badLines(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("0", 64)
	tests := []struct {
		name, line, message string
	}{
		{"an empty line", ``, "not a line of JSON"},
		{"not JSON", `inspect`, "not a line of JSON"},
		{"JSON that is no object", `[1]`, "not a line of JSON"},
		{"a cut line", `{"version":1,"op":"insp`, "not a line of JSON"},
		{"two requests on a line", `{"version":1,"op":"inspect"}{"version":1,"op":"inspect"}`, "not a line of JSON"},
		{"no version", `{"op":"inspect"}`, "version 0"},
		{"a later version with fields of its own", `{"version":2,"op":"inspect","new":1}`, "version 2"},
		{"an unknown field", `{"version":1,"op":"inspect","secret":"canary"}`, "a field that this agent does not know"},
		{"a value of the wrong type", `{"version":1,"op":7}`, "the wrong type"},
		{"no operation", `{"version":1}`, "unknown operation"},
		{"an unknown operation", `{"version":1,"op":"remove"}`, "unknown operation"},
		{"an operation without its data", `{"version":1,"op":"install"}`, "exactly what its operation needs"},
		{"an operation with another one's data", `{"version":1,"op":"inspect","install":{"from":"","to":""}}`, "exactly what its operation needs"},
		{"an installation of nothing", `{"version":1,"op":"install","install":{"from":"` + digest + `","to":"x"}}`, "which configuration replaces which"},
		{"a count of nothing", `{"version":1,"op":"count"}`, "exactly what its operation needs"},
		{"a proposal for nothing that could be", `{"version":1,"op":"propose","propose":{"from":"x","recipients":{"n1":""}}}`, "which configuration it is for"},
		{"a proposal for nobody", `{"version":1,"op":"propose","propose":{"from":"` + digest + `","recipients":{}}}`, "1 to 32 recipients, not 0"},
		{"a recipient with a strange name", `{"version":1,"op":"propose","propose":{"from":"` + digest + `","recipients":{"../n1":""}}}`, "not the name of a node"},
		{"an export of nothing", `{"version":1,"op":"export","export":{"keys":[],"recipient":"n1"}}`, "1 to 1000 keys can be exported at once, not 0"},
		{"an export for a strange name", `{"version":1,"op":"export","export":{"keys":[{"provider":"aesgcm"}],"recipient":"../n1"}}`, "not the name of a node"},
		{"a composition of nothing", `{"version":1,"op":"compose","compose":{"base":"x","wanted":[]}}`, "which configuration it begins with"},
		{"a composition for nobody", `{"version":1,"op":"compose","compose":{"base":"` + digest + `","wanted":[]}}`, "1 to 32 nodes, not 0"},
		{"a composition for a strange name", `{"version":1,"op":"compose","compose":{"base":"` + digest + `","wanted":[{"node":"../n1"}]}}`, "not the name of a node"},
		{"a composition in the place of anything", `{"version":1,"op":"compose","compose":{"base":"` + digest + `","wanted":[{"node":"n1","from":"x"}]}}`, "does not say what is replaced on node n1"},
		{"a composition without rules", `{"version":1,"op":"compose","compose":{"base":"` + digest + `","wanted":[{"node":"n1"}]}}`, "does not say what node n1 shall have"},
		{"a composition with a rule without keys", `{"version":1,"op":"compose","compose":{"base":"` + digest + `","wanted":[{"node":"n1","rules":[{"resources":["secrets"]}]}]}}`, "does not say what node n1 shall have"},
		{"a line that is too long", strings.Repeat("x", agentapi.MaxLine+1), "longer than 16777216 bytes"},
	}
	n := newNode(t, exampleConfig("1"))
	for _, tt := range tests {
		t.Run(tt.name+" => is answered, and the next one too", func(t *testing.T) {
			t.Parallel()
			n := &node{t: t, Server: n.Server}
			answers := n.say(tt.line + "\n" + `{"version":1,"op":"inspect"}` + "\n")
			require.Len(t, answers, 2)
			bad := answers[0]
			require.NotNil(t, bad.Error)
			assert.Equal(t, agentapi.BadRequest, bad.Error.Code)
			assert.Contains(t, bad.Error.Message, tt.message)
			assert.NotContains(t, bad.Error.Message, "canary")
			assert.Equal(t, []any{agentapi.Version, "n1", "run-1"}, []any{bad.Version, bad.Node, bad.Run})
			assert.Nil(t, bad.State)
			assert.Nil(t, answers[1].Error)
			assert.NotNil(t, answers[1].State)
		})
	}
}

func TestServe_endOfInput(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	assert.Empty(t, n.say(""), "no input, no answer")
	answers := n.say(`{"version":1,"op":"inspect"}`)
	require.Len(t, answers, 1, "the last line needs no end")
	assert.Nil(t, answers[0].Error)
}

func TestServe_endsWithItsContext(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		in, input := io.Pipe()
		var err error
		go func() { err = n.Serve(ctx, in, io.Discard) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		require.ErrorIs(t, err, context.Canceled)
		require.NoError(t, input.Close()) // what waited for input goes too
	})
}

func TestServe_endsWhenNobodyAsksForLong(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	n.Idle = time.Minute
	synctest.Test(t, func(t *testing.T) {
		in, input := io.Pipe()
		done := make(chan error, 1)
		begun := time.Now()
		go func() { done <- n.Serve(t.Context(), in, io.Discard) }()
		<-time.After(40 * time.Second)
		_, err := io.WriteString(input, `{"version":2}`+"\n")
		require.NoError(t, err)
		require.NoError(t, <-done)
		assert.Equal(t, 100*time.Second, time.Since(begun), "each request begins the time anew")
		require.NoError(t, input.Close()) // what waited for input goes too
	})
}

type brokenStream struct{}

var errBroken = errors.New("broken")

func (brokenStream) Read([]byte) (int, error)  { return 0, errBroken }
func (brokenStream) Write([]byte) (int, error) { return 0, errBroken }

func TestServe_brokenStreams(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	require.ErrorIs(t, n.Serve(t.Context(), brokenStream{}, io.Discard), errBroken)
	require.ErrorIs(t, n.Serve(t.Context(), strings.NewReader("\n"), brokenStream{}), errBroken)
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("canary") }

func TestServe_survivesAPanicAndSaysNothingOfIt(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	n.Random = panicking{}
	resp := n.propose(addKey("2"), n)
	require.NotNil(t, resp.Error)
	assert.Equal(t, agentapi.Invalid, resp.Error.Code)
	assert.NotContains(t, resp.Error.Message, "canary")
	assert.Nil(t, resp.Proposed)
}

func TestServe_answerThatWouldNotBeRead(t *testing.T) {
	t.Parallel()
	n := newNode(t, exampleConfig("1"))
	n.write(append(exampleConfig("1"), []byte("# "+strings.Repeat("x", 1<<19)+"\n")...))
	recipients := map[string][]byte{}
	for name := range strings.SplitSeq("a b c d e f g h i j k l m n o p q r s t u v w x y z", " ") {
		recipients[name] = n.identity.PublicKey()
	}
	resp := n.ask(agentapi.Request{Op: agentapi.Propose, Propose: &agentapi.Proposal{
		From: n.digest(), Change: addKey("2"), Recipients: recipients,
	}})
	require.NotNil(t, resp.Error)
	assert.Contains(t, resp.Error.Message, "at most 16777216 can be sent")
	assert.Equal(t, agentapi.Propose, resp.Op)
	assert.Nil(t, resp.Proposed)
}

func TestNew_refusesNamesThatAreNone(t *testing.T) {
	t.Parallel()
	good := Options{Node: "cp-1.example.org", Run: "rotate-x7k2p", ConfigName: "config.yaml"}
	_, err := New(good)
	require.NoError(t, err)
	tests := []struct {
		name   string
		change func(*Options)
	}{
		{"no node", func(o *Options) { o.Node = "" }},
		{"a node with a line end", func(o *Options) { o.Node = "n1\n" }},
		{"no run", func(o *Options) { o.Run = "" }},
		{"a run that is a path", func(o *Options) { o.Run = "a/b" }},
		{"a run of 64 letters", func(o *Options) { o.Run = strings.Repeat("a", 64) }},
		{"no file", func(o *Options) { o.ConfigName = "" }},
		{"a file in another folder", func(o *Options) { o.ConfigName = "../config.yaml" }},
		{"the parent folder", func(o *Options) { o.ConfigName = ".." }},
		{"a hidden file", func(o *Options) { o.ConfigName = ".config.yaml" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := good
			tt.change(&o)
			_, err := New(o)
			require.Error(t, err)
		})
	}
}

func TestReadLine_isTheSameHoweverTheBytesArrive(t *testing.T) {
	t.Parallel()
	const limit = 20
	rapid.Check(t, func(t *rapid.T) {
		input := rapid.StringMatching(`([a-c]{0,30}\n){0,5}[a-c]{0,30}`).Draw(t, "input")
		buffer := rapid.IntRange(16, 64).Draw(t, "buffer")
		r := bufio.NewReaderSize(strings.NewReader(input), buffer)
		want := strings.Split(input, "\n")
		if want[len(want)-1] == "" {
			want = want[:len(want)-1]
		}
		for _, w := range want {
			got, err := readLine(r, limit)
			if len(w) > limit {
				require.ErrorIs(t, err, errTooLong)
				continue
			}
			require.NoError(t, err)
			require.Equal(t, w, string(got))
		}
		_, err := readLine(r, limit)
		require.ErrorIs(t, err, io.EOF)
	})
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(`{"version":1,"op":"inspect"}`))
	f.Add([]byte(`{"version":1,"op":"propose","propose":{"from":"sha256:","change":{"kind":"keep"},"recipients":{"n1":"AA=="}}}`))
	f.Add([]byte(`{"version":1,"op":"install","install":{"from":"","to":"sha256:","sealed":"AA=="}}`))
	f.Add([]byte(`{"version":1,"op":"count","count":{"resource":{"Name":"secrets"},"prefix":"/registry","servers":["https://a:1"],"names":100}}`))
	f.Add([]byte(`{"version":1,"op":"export","export":{"keys":[{"provider":"aesgcm","name":"1"}],"recipient":"n1","publicKey":"AA=="}}`))
	f.Add([]byte(`{"version":1,"op":"compose","compose":{"base":"sha256:","exported":[{"node":"n2"}],"wanted":[{"node":"n1","rules":[{"resources":["a"]}]}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		req, err := parseRequest(line{data: data})
		if err != nil {
			assert.Equal(t, agentapi.BadRequest, coded(err, "").Code)
			return
		}
		assert.Equal(t, agentapi.Version, req.Version)
		assert.Equal(t, req.Op == agentapi.Propose, req.Propose != nil)
		assert.Equal(t, req.Op == agentapi.Install, req.Install != nil)
		assert.Equal(t, req.Op == agentapi.Count, req.Count != nil)
		assert.Equal(t, req.Op == agentapi.Export, req.Export != nil)
		assert.Equal(t, req.Op == agentapi.Compose, req.Compose != nil)
	})
}
