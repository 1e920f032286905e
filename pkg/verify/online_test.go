// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/event"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/nodejob"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/reload"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/residue"
)

var (
	newKey = encconfig.Key{Provider: encconfig.AESGCM, Name: "2"}
	oldKey = encconfig.Key{Provider: encconfig.AESGCM, Name: "1"}
	inText = encconfig.Key{Provider: encconfig.Identity}
)

// rules makes a configuration of resources and keys in turn.
func rules(pairs ...any) encconfig.Description {
	d := encconfig.Description{Digest: "sha256:x"}
	for i := 0; i < len(pairs); i += 2 {
		d.Rules = append(d.Rules, encconfig.Rule{Resources: strings.Split(pairs[i].(string), ","), Keys: pairs[i+1].([]encconfig.Key)})
	}
	return d
}

var encrypting, decrypting = []encconfig.Key{newKey, oldKey, inText}, []encconfig.Key{inText, newKey}

func stacked() controlplane.Etcd {
	return controlplane.Etcd{Prefix: "/registry", Servers: []string{"https://127.0.0.1:2379"}, CA: "/ca.crt"}
}

// someServed is what a server serves. metrics.example.com is served by another one.
func someServed() []kube.Resource {
	one := func(group, name string, namespaced, migratable bool) kube.Resource {
		return kube.Resource{
			GVR: schema.GroupVersionResource{Group: group, Version: "v1", Resource: name}, Namespaced: namespaced, Migratable: migratable,
		}
	}
	return []kube.Resource{
		one("", "secrets", true, true), one("", "configmaps", true, true), one("", "nodes", false, true), one("", "events", true, true),
		one("events.k8s.io", "events", true, true), one("", "componentstatuses", false, false), one("apps", "deployments", true, true),
		one("example.com", "widgets", true, true), one("example.com", "gadgets", false, true), one("metrics.example.com", "nodes", false, true),
	}
}

func TestOnline_chooses_what_to_count(t *testing.T) {
	t.Parallel()
	moved := stacked()
	moved.Overrides = []string{"/events#https://e:1"}
	tests := map[string]struct {
		config encconfig.Description
		etcd   controlplane.Etcd
		asked  []string
		want   string
		note   string
	}{
		"what the configuration encrypts":                 {rules("secrets,configmaps", encrypting), stacked(), nil, "secrets Namespaced, configmaps Namespaced", ""},
		"what it has decrypted too, and plaintext not":    {rules("secrets", decrypting, "configmaps", []encconfig.Key{inText}), stacked(), nil, "secrets Namespaced", ""},
		"Secrets without a configuration":                 {encconfig.Description{}, stacked(), nil, "secrets Namespaced", ""},
		"Secrets where nothing has a key":                 {rules("*.*", []encconfig.Key{inText}), stacked(), nil, "secrets Namespaced", ""},
		"events once, whichever group they are named by":  {rules("events", encrypting), stacked(), []string{"events", "events.events.k8s.io"}, "events Namespaced", ""},
		"custom resources where they are":                 {rules("widgets.example.com", encrypting), stacked(), nil, "widgets.example.com Namespaced grouped", ""},
		"what is served no more and is in the file":       {rules("gone.example.com", encrypting), stacked(), nil, "gone.example.com  grouped", ""},
		"what was asked for":                              {rules("secrets", encrypting), stacked(), []string{"nodes", "nodes"}, "nodes Cluster", ""},
		"everything":                                      {rules("secrets", encrypting, "*.*", decrypting), stacked(), nil, "", ""},
		"everything that was asked for":                   {encconfig.Description{}, stacked(), []string{"secrets", "*.*"}, "", ""},
		"what is served of a group":                       {rules("*.example.com", encrypting), stacked(), nil, "widgets.example.com Namespaced grouped, gadgets.example.com Cluster grouped", ""},
		"what is served of the core group":                {encconfig.Description{}, stacked(), []string{"*."}, "secrets Namespaced, configmaps Namespaced, nodes Cluster, events Namespaced", ""},
		"what is served where not all is in one etcd":     {rules("*.*", encrypting), moved, nil, "secrets Namespaced, configmaps Namespaced, nodes Cluster, events Namespaced, deployments.apps Namespaced, widgets.example.com Namespaced grouped, gadgets.example.com Cluster grouped", "--etcd-servers-overrides"},
		"nothing where nothing is served of a wildcard":   {rules("*.batch", encrypting), stacked(), nil, "nothing", ""},
		"an empty value of the flag for other etcds":      {rules("*.*", encrypting), controlplane.Etcd{Prefix: "/registry", Overrides: []string{""}}, nil, "", ""},
		"a resource of a rule that another one overrides": {rules("secrets", decrypting, "*.", encrypting), stacked(), []string{"secrets"}, "secrets Namespaced", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tour, err := newTour(Online{Resources: tt.asked}, tt.etcd, tt.config)
			require.NoError(t, err)
			require.NoError(t, tour.choose(someServed(), func() (map[string]bool, error) { return map[string]bool{"metrics.example.com": true}, nil }))
			var got []string
			for _, r := range tour.resources {
				line := fmt.Sprintf("%s %s", r.Name, r.Scope)
				if r.Grouped {
					line += " grouped"
				}
				got = append(got, strings.TrimSuffix(line, " "))
			}
			if len(got) == 0 {
				got = []string{"nothing"}
			}
			assert.Equal(t, tt.want, strings.Join(got, ", "))
			assert.Equal(t, tt.want == "", tour.everything())
			assert.Contains(t, strings.Join(tour.notes, "\n"), tt.note)
		})
	}
}

func TestOnline_refuses_what_it_can_not_count(t *testing.T) {
	t.Parallel()
	for asked, message := range map[string]string{
		"secret": `the server does not serve and store a resource "secret"`, "componentstatuses": "does not serve and store", "gone.example.com": "does not serve and store",
	} {
		tour, err := newTour(Online{Resources: []string{asked}}, stacked(), rules("secrets", encrypting))
		require.NoError(t, err)
		require.ErrorContains(t, tour.choose(someServed(), nil), message)
	}
	tour, err := newTour(Online{}, stacked(), rules("*.apps", encrypting))
	require.NoError(t, err)
	require.ErrorContains(t, tour.choose(nil, func() (map[string]bool, error) { return nil, errors.New("forbidden") }), "named by wildcard: forbidden")
}

func TestOnline_refuses_a_misspelled_name_before_it_starts_an_agent(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ configured, refused bool }{
		"secrets": {true, false}, "secret": {true, true}, "componentstatuses": {true, true}, "deployments.apps": {true, false}, "*.apps": {true, false},
		"gone.example.com": {true, false}, // a configuration may name it still
	} {
		err := checkNames([]string{"nodes", name}, someServed(), tt.configured)
		assert.Equal(t, tt.refused, err != nil, name)
	}
	require.ErrorContains(t, checkNames([]string{"gone.example.com"}, someServed(), false), `does not serve and store a resource "gone.example.com"`)
}

// fakeSearcher gives its answers to searches one after the other.
type fakeSearcher struct {
	answers []agentapi.Searched
	asked   []agentapi.Searching
	err     error
}

func (f *fakeSearcher) Ask(_ context.Context, r agentapi.Request) (*agentapi.Response, error) {
	f.asked = append(f.asked, *r.Search)
	if len(f.answers) == 0 {
		return nil, f.err
	}
	answer := f.answers[0]
	f.answers = f.answers[1:]
	return &agentapi.Response{Searched: &answer}, nil
}

func TestOnline_searches_in_as_many_requests_as_it_takes(t *testing.T) {
	t.Parallel()
	one := copiesIn(residue.Logged, some{2, plaintext})
	second := agentapi.Position{Folder: "wal", Name: "x", Offset: 9}
	agent := &fakeSearcher{answers: []agentapi.Searched{
		{Counts: []residue.Count{one}, Next: second, Compacted: 7, Read: 3_000_000, Size: 5_000_000},
		{Counts: []residue.Count{one}, Done: true, Compacted: 7, Read: 2_000_000, Size: 5_000_000},
	}}
	var events []event.Event
	v := &visit{Online: Online{Emit: func(e event.Event) { events = append(events, e) }}}
	found, err := v.ask(t.Context(), agent, "n1", agentapi.Searching{Prefix: "/registry"})
	require.NoError(t, err)
	assert.Equal(t, int64(5_000_000), found.Read)
	assert.Equal(t, int64(7), found.Compacted)
	require.Len(t, found.Counts, 1)
	assert.Equal(t, int64(4), found.Counts[0].Tally.Objects)
	assert.Equal(t, agentapi.Searching{Prefix: "/registry", From: second, Compacted: 7}, agent.asked[1])
	assert.Equal(t, event.StepProgress{Stage: stageResidue, Done: 3, Total: 5, Unit: "MB", Detail: "n1"}, events[0])

	for _, answers := range [][]agentapi.Searched{{{Read: 0, Next: second}}, {{Read: 1}}, {{Read: 1, Next: second}, {Read: 1, Next: second}}} {
		_, err = v.ask(t.Context(), &fakeSearcher{answers: answers}, "n1", agentapi.Searching{})
		require.ErrorContains(t, err, "it searched nothing")
	}
}

func TestOnline_keeps_what_was_found_before_a_search_broke_off(t *testing.T) {
	t.Parallel()
	v := &visit{Online: Online{Emit: func(event.Event) {}}}
	part := agentapi.Searched{Counts: []residue.Count{copiesIn(residue.Logged, some{2, plaintext})}, Next: agentapi.Position{Name: "x"}, Read: 1}
	found, err := v.ask(t.Context(), &fakeSearcher{answers: []agentapi.Searched{part}, err: errors.New("lost")}, "n1", agentapi.Searching{})
	require.ErrorContains(t, err, "lost")
	assert.Len(t, found.Counts, 1)
	gone := &agentapi.Error{Code: agentapi.Changed, Message: "etcd has replaced a file"}
	found, err = v.ask(t.Context(), &fakeSearcher{answers: []agentapi.Searched{part}, err: gone}, "n1", agentapi.Searching{})
	require.ErrorIs(t, err, gone)
	assert.Empty(t, found.Counts, "they are not there any more")
}

func TestOnline_can_not_search_what_it_does_not_know(t *testing.T) {
	t.Parallel()
	v := &visit{Online: Online{Emit: func(event.Event) {}}, view: view(onNode("n1", "/c"))}
	r, err := v.residue(t.Context(), nil, rules("secrets", encrypting))
	require.NoError(t, err)
	assert.Contains(t, r.Unknown, "etcd does not run as a pod")
	r, err = v.residue(t.Context(), []controlplane.Member{{Node: "n1"}}, encconfig.Description{})
	require.NoError(t, err)
	assert.Contains(t, r.Unknown, "no kube-apiserver has an encryption configuration")
	r, err = v.residue(t.Context(), []controlplane.Member{{Node: "n1", Problem: errors.New("its flags can't be told")}}, rules("secrets", encrypting))
	require.NoError(t, err)
	assert.Equal(t, "its flags can't be told", r.Members[0].Unknown)
}

func TestOnline_gives_the_searching_agent_nothing_but_the_files_of_etcd(t *testing.T) {
	t.Parallel()
	v := &visit{Online: Online{Image: "i"}, run: "run1", node: onNode("n1", "/c")}
	s := v.searcher(controlplane.Member{Node: "n2", SnapDir: "/d/snap", WALDir: "/d/wal"})
	assert.Equal(t, nodejob.Spec{
		Node: "n2", Run: "run1", Image: "i", ConfigFile: project.ConfigFile, Reader: true, Data: &nodejob.Data{Snap: "/d/snap", WAL: "/d/wal", Life: usualLife},
	}, s)
}

// fakeAgent gives its answers one after the other.
type fakeAgent struct {
	answers []agentapi.Counted
	asked   []agentapi.Counting
	err     error
}

func (f *fakeAgent) Ask(_ context.Context, r agentapi.Request) (*agentapi.Response, error) {
	f.asked = append(f.asked, *r.Count)
	if len(f.answers) == 0 {
		return nil, f.err
	}
	answer := f.answers[0]
	f.answers = f.answers[1:]
	return &agentapi.Response{Counted: &answer}, nil
}

// part is a tally with current objects, and one stale object of each name.
func part(resource string, current int64, stale ...string) census.Tally {
	t := census.Tally{Resource: resource, WriteKey: newKey, Objects: current + int64(len(stale)), Groups: []census.Group{
		{State: census.Current, Readable: true, Provider: encconfig.AESGCM, Version: "v1", Key: "2", Objects: current},
	}}
	if len(stale) > 0 {
		t.Groups = append(t.Groups, census.Group{
			State: census.Stale, Readable: true, Provider: encconfig.AESGCM, Version: "v1", Key: "1", Objects: int64(len(stale)), Names: stale,
		})
	}
	return t
}

func testTour(t *testing.T, etcd controlplane.Etcd, config encconfig.Description, events *[]event.Event, resources ...string) *tour {
	t.Helper()
	tour, err := newTour(Online{
		Resources: resources, Names: 2, MaxRate: 50, Decrypt: true, Emit: func(e event.Event) { *events = append(*events, e) },
	}, etcd, config)
	require.NoError(t, err)
	require.NoError(t, tour.choose(someServed(), func() (map[string]bool, error) { return nil, nil }))
	return tour
}

func TestOnline_counts_in_as_many_requests_as_it_takes(t *testing.T) {
	t.Parallel()
	etcd := stacked()
	etcd.Overrides = []string{"/events#https://user:canary@e:1"}
	var events []event.Event
	tour := testTour(t, etcd, rules("secrets,configmaps,events", encrypting), &events)
	agent := &fakeAgent{answers: []agentapi.Counted{
		{Tallies: []census.Tally{part("secrets", 2, "ns/c")}, Count: 3, Next: []byte("/registry/secrets/ns/d"), Revision: 7},
		{Tallies: []census.Tally{part("secrets", 1, "ns/d", "ns/e")}, Count: 3, Done: true, Revision: 8, Compactions: 1},
		{Tallies: []census.Tally{part("configmaps", 5)}, Count: 5, Done: true, Revision: 8},
		{Tallies: []census.Tally{part("events", 1)}, Count: 1, Done: true, Revision: 99},
	}}
	result, err := tour.walk(t.Context(), agent)
	require.NoError(t, err)

	require.Len(t, agent.asked, 4)
	assert.Equal(t, int64(0), agent.asked[0].Revision)
	assert.Equal(t, "/registry/secrets/ns/d", string(agent.asked[1].From))
	assert.Equal(t, int64(7), agent.asked[1].Revision)
	assert.Equal(t, int64(8), agent.asked[2].Revision, "in the same etcd, at the same revision")
	assert.Empty(t, agent.asked[2].From)
	assert.Zero(t, agent.asked[3].Revision, "another etcd counts its own")
	for _, a := range agent.asked {
		assert.Equal(t, agentapi.Counting{
			Resource: a.Resource, From: a.From, Revision: a.Revision, Prefix: "/registry", Servers: etcd.Servers, Overrides: etcd.Overrides,
			Config: "sha256:x", Decrypt: true, Names: 2, MaxRate: 50, Within: within,
		}, a)
	}

	assert.Equal(t, Source{Endpoint: "127.0.0.1:2379 e:1", Revision: 8}, result.Source)
	assert.Equal(t, []string{"configmaps", "events", "secrets"}, result.Census.Whole)
	assert.Equal(t, "sha256:x", result.Census.Config)
	require.Len(t, result.Census.Tallies, 3)
	secrets := result.Census.Tallies[2]
	assert.Equal(t, int64(6), secrets.Objects)
	assert.Equal(t, []string{"ns/c", "ns/d"}, secrets.Groups[1].Names, "the first two of three")
	require.Len(t, result.Notes, 1)
	assert.Contains(t, result.Notes[0], "secrets: the revision was compacted")
	require.Len(t, events, 4)
	assert.Equal(t, event.StepProgress{Stage: stageCount, Done: 0, Total: 3, Unit: "resources", Detail: "secrets 3"}, events[0])
	assert.Equal(t, event.StepProgress{Stage: stageCount, Done: 1, Total: 3, Unit: "resources", Detail: "secrets 6"}, events[1])
}

func TestOnline_says_that_everything_was_counted_if_all_of_it_is_known(t *testing.T) {
	t.Parallel()
	config := rules("*.*", encrypting)
	var events []event.Event
	known := agentapi.Counted{Tallies: []census.Tally{part("secrets", 2), part("nodes", 1)}, Count: 3, Done: true, Revision: 7}
	result, err := testTour(t, stacked(), config, &events).walk(t.Context(), &fakeAgent{answers: []agentapi.Counted{known}})
	require.NoError(t, err)
	assert.True(t, result.Everything)
	assert.Equal(t, []string{"*.*"}, result.Census.Whole)
	assert.Empty(t, result.Notes)

	strange := known
	strange.Tallies = append([]census.Tally{{Resource: "", Objects: 1, Strays: 1, StrayNames: []string{"new/x"}}}, known.Tallies...)
	config.Rules = append([]encconfig.Rule{{Resources: []string{"configmaps"}, Keys: encrypting}}, config.Rules...)
	result, err = testTour(t, stacked(), config, &events).walk(t.Context(), &fakeAgent{answers: []agentapi.Counted{strange}})
	require.NoError(t, err)
	assert.Equal(t, []string{"configmaps", "nodes", "secrets"}, result.Census.Whole, "each resource that was met is whole, and nobody knows what else there may be")
	assert.Len(t, result.Notes, 1)
	assert.Equal(t, Unfamiliar, result.Census.Tallies[0].Resource)
}

func TestOnline_takes_no_answer_that_makes_no_headway(t *testing.T) {
	t.Parallel()
	var events []event.Event
	for _, answers := range [][]agentapi.Counted{
		{{Next: nil}},
		{{Next: []byte("b")}, {Next: []byte("b")}},
		{{Next: []byte("b")}, {Next: []byte("a")}},
	} {
		_, err := testTour(t, stacked(), rules("secrets", encrypting), &events).walk(t.Context(), &fakeAgent{answers: answers})
		require.ErrorContains(t, err, "not one to what was asked")
	}
	broken := errors.New("node n1: etcd can't be read")
	_, err := testTour(t, stacked(), rules("secrets", encrypting), &events).walk(t.Context(), &fakeAgent{err: broken})
	require.ErrorIs(t, err, broken)
	_, err = testTour(t, controlplane.Etcd{}, rules("secrets", encrypting), &events).walk(t.Context(), &fakeAgent{})
	require.ErrorContains(t, err, "--etcd-servers is not given")
}

func TestOnline_says_what_it_can_not_decrypt(t *testing.T) {
	t.Parallel()
	without, err := newTour(Online{Decrypt: true}, stacked(), encconfig.Description{})
	require.NoError(t, err)
	assert.False(t, without.Decrypt)
	assert.Contains(t, without.notes[0], "no keys to decrypt with")
	plugin, err := newTour(Online{Decrypt: true}, stacked(), rules("secrets", []encconfig.Key{{Provider: encconfig.KMS, Name: "p"}}))
	require.NoError(t, err)
	assert.True(t, plugin.Decrypt)
	assert.Contains(t, plugin.notes[0], "KMS")
}

func view(instances ...controlplane.Instance) *observe.View {
	v := &observe.View{ControlPlane: &controlplane.ControlPlane{Instances: instances}, Evidence: map[string]reload.Evidence{}}
	for _, in := range instances {
		v.Evidence[in.Node] = reload.Evidence{TellsHash: true, Hash: "sha256:x"}
	}
	return v
}

func onNode(node, path string) controlplane.Instance {
	return controlplane.Instance{Node: node, Manifest: controlplane.Manifest{ConfigPath: path, HostDir: "/etc/enc", File: "c.yaml"}}
}

func TestOnline_asks_for_no_more_than_it_needs(t *testing.T) {
	t.Parallel()
	etcd := stacked()
	etcd.Cert, etcd.Key = "/c.crt", "/c.key"
	in := onNode("n1", "/c")
	in.Etcd = etcd
	v := &visit{Online: Online{Image: "i"}, run: "run1", node: in}
	s := v.readerOfEtcd()
	assert.True(t, s.Reader)
	assert.Equal(t, "/etc/enc", s.ConfigDir)
	assert.Equal(t, "c.yaml", s.ConfigFile)
	assert.Equal(t, "/c.key", s.Etcd.Key)
	assert.Equal(t, usualLife, s.Etcd.Life)
	v.MaxRate = 10
	assert.Equal(t, longLife, v.readerOfEtcd().Etcd.Life)
	plain := v.reader(onNode("n2", ""))
	assert.Empty(t, plain.ConfigDir, "no folder where there is no configuration")
	assert.Nil(t, plain.Etcd)
}

func TestOnline_knows_the_keys_of_a_nodes_file_and_history(t *testing.T) {
	t.Parallel()
	file, before := rules("secrets", encrypting), rules("secrets", []encconfig.Key{oldKey, {Provider: encconfig.Secretbox, Name: "0"}})
	keys, err := keysOn(&agentapi.State{Config: &file, History: []agentapi.Revision{{Config: before}, {Config: file}}})
	require.NoError(t, err)
	assert.Equal(t, []encconfig.Key{newKey, oldKey, {Provider: encconfig.Secretbox, Name: "0"}}, keys)

	for _, state := range []*agentapi.State{
		nil,
		{Problem: &agentapi.Error{Code: agentapi.Unreadable, Message: "the history can't be used"}},
		{History: []agentapi.Revision{{Number: 3}}},
		{Problem: &agentapi.Error{Code: agentapi.Missing, Message: "no file"}, History: []agentapi.Revision{{Config: before}}}, // it had one
		{Problem: &agentapi.Error{Code: agentapi.Missing, Message: "no file"}, HistoryDamaged: true},
	} {
		_, err := keysOn(state)
		require.Error(t, err, "who can't tell all must not be taken to have told all")
		_, err = heldBy(map[string]*agentapi.State{"n1": {Config: &file}, "n2": state}, nil)
		require.ErrorContains(t, err, "node n2")
	}
}

func TestOnline_asks_the_nodes_only_where_a_key_is_missing(t *testing.T) {
	t.Parallel()
	assert.False(t, missing(census.Census{Tallies: []census.Tally{part("secrets", 2, "ns/a")}}))
	lost := part("secrets", 2)
	lost.Groups = append(lost.Groups, census.Group{State: census.Missing})
	assert.True(t, missing(census.Census{Tallies: []census.Tally{part("configmaps", 1), lost}}))
}
