// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/apiserver/pkg/storage/value/encrypt/secretbox"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdwalk"
)

// fakeEtcd is an etcd whose walks end after so many values, and may fail.
type fakeEtcd struct {
	values map[string]string
	// page is how many values a walk sees, 0 for all. After failAfter of them, if it is above 0, it fails.
	page, failAfter int
	broken          error
	asked           []etcdwalk.Options
	opened          []etcdwalk.Config
	closed          int
}

var errNoEtcd = errors.New("etcd at 127.0.0.1:2379: connection refused")

// on has the node's agent read this etcd.
func (e *fakeEtcd) on(n *node) {
	n.etcd.open = func(c etcdwalk.Config) (walker, error) {
		e.opened = append(e.opened, c)
		return e, nil
	}
}

func (e *fakeEtcd) Close() error { e.closed++; return nil }

func (e *fakeEtcd) Walk(_ context.Context, o etcdwalk.Options, each etcdwalk.Each) (etcdwalk.Result, error) {
	e.asked = append(e.asked, o)
	r := etcdwalk.Result{Revision: 7, Next: o.From}
	if e.broken != nil {
		return r, e.broken
	}
	for _, key := range slices.Sorted(maps.Keys(e.values)) {
		if !strings.HasPrefix(key, string(o.Prefix)) || key < string(o.From) {
			continue
		}
		if e.failAfter > 0 && r.Count == e.failAfter {
			return r, errNoEtcd
		}
		if e.page > 0 && r.Count == e.page {
			return r, nil
		}
		if err := each([]byte(key), []byte(e.values[key]), 1); err != nil {
			return r, err
		}
		r.Count++
		r.Next = append([]byte(key), 0)
	}
	r.Next, r.Done = nil, true
	return r, nil
}

// plainObject is an object in protobuf as far as its looks go.
const plainObject = "k8s\x00\x0a\x0c\x0a\x02v1\x12\x06Secret\x12\x02\x0a\x00\x1a\x00\x22\x00"

// countNode is a node whose secrets are written with secretbox/2 and read with secretbox/1, and its etcd.
func countNode(t *testing.T) (*node, *fakeEtcd) {
	t.Helper()
	config := "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  providers:\n" +
		"  - secretbox: {keys: [{name: '2', secret: " + b64('B') + "}, {name: '1', secret: " + b64('A') + "}]}\n  - identity: {}\n"
	n, e := newNode(t, []byte(config)), &fakeEtcd{values: map[string]string{}}
	e.on(n)
	return n, e
}

func b64(fill byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, 32)) }

// sealed is a value as kube-apiserver stores it with a key whose bytes are all fill.
func sealed(t *testing.T, name string, fill byte) string {
	t.Helper()
	out, err := secretbox.NewSecretboxTransformer([32]byte(bytes.Repeat([]byte{fill}, 32))).
		TransformToStorage(t.Context(), []byte(plainObject), value.DefaultContext("x"))
	require.NoError(t, err)
	return "k8s:enc:secretbox:v1:" + name + ":" + string(out)
}

func (n *node) counting() agentapi.Counting {
	return agentapi.Counting{
		Resource: etcdkey.Resource{Name: "secrets", Scope: etcdkey.Namespaced}, Prefix: "/registry",
		Servers: []string{"https://127.0.0.1:2379"}, Config: n.digest(), Names: 2,
	}
}

func (n *node) count(c agentapi.Counting) agentapi.Response {
	n.t.Helper()
	return n.ask(agentapi.Request{Op: agentapi.Count, Count: &c})
}

// groups are the groups of a tally, as "stale secretbox/1 2 [a b]".
func groups(tally census.Tally) (lines []string) {
	for _, g := range tally.Groups {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %d %s", g.State, g.NamedKey(), g.Objects, strings.Join(g.Names, " "))))
	}
	return lines
}

func TestCount_tells_what_is_stored_under_which_key(t *testing.T) {
	t.Parallel()
	n, e := countNode(t)
	e.values = map[string]string{
		"/registry/secrets/ns/current": sealed(t, "2", 'B'),
		"/registry/secrets/ns/old":     sealed(t, "1", 'A'),
		"/registry/secrets/ns/plain":   plainObject,
		"/registry/secrets/ns/lost":    sealed(t, "9", 'Z'),
		"/registry/secrets/stray":      sealed(t, "2", 'B'),
		"/registry/secretsnot/ns/a":    plainObject,
	}
	resp := n.count(n.counting())
	require.Nil(t, resp.Error)
	require.NotNil(t, resp.Counted)
	assert.Nil(t, resp.State, "it tells nothing of the node's files")
	require.Len(t, resp.Counted.Tallies, 1)
	tally := resp.Counted.Tallies[0]
	assert.Equal(t, "secretbox/2", tally.WriteKey.String())
	assert.Equal(t, []string{
		"current secretbox/2 2", "stale secretbox/1 1 ns/old", "plaintext identity 1 ns/plain", "missing secretbox/9 1 ns/lost",
	}, groups(tally))
	assert.Equal(t, []string{"stray"}, tally.StrayNames)
	assert.True(t, resp.Counted.Done)
	assert.Equal(t, 5, resp.Counted.Count)
	assert.Equal(t, int64(7), resp.Counted.Revision)
	require.Len(t, e.opened, 1)
	assert.Equal(t, etcdwalk.Config{Endpoints: []string{"https://127.0.0.1:2379"}}, e.opened[0], "files that are not there are not used")
}

func TestCount_opens_values_with_the_nodes_keys(t *testing.T) {
	t.Parallel()
	n, e := countNode(t)
	e.values = map[string]string{
		"/registry/secrets/ns/current": sealed(t, "2", 'B'),
		"/registry/secrets/ns/other":   sealed(t, "2", 'Y'),
		"/registry/secrets/ns/old":     sealed(t, "1", 'A'),
		"/registry/secrets/ns/nothing": "neither an object nor encrypted",
	}
	c := n.counting()
	c.Decrypt = true
	resp := n.count(c)
	require.Nil(t, resp.Error)
	assert.Equal(t, []string{
		"current secretbox/2 1", "stale secretbox/1 1 ns/old", "undecryptable secretbox/2 1 ns/other", "undecodable  1 ns/nothing",
	}, groups(resp.Counted.Tallies[0]))
}

func TestCount_of_everything_tells_each_resource_by_itself(t *testing.T) {
	t.Parallel()
	n, e := countNode(t)
	e.values = map[string]string{
		"/registry/secrets/ns/a":                 sealed(t, "2", 'B'),
		"/registry/secrets/x":                    sealed(t, "2", 'B'),
		"/registry/deployments/ns/d":             plainObject,
		"/registry/example.com/widgets/ns/w":     `{"kind":"Widget"}`,
		"/registry/ranges/serviceips":            plainObject,
		"/registry/masterleases/192.0.2.1":       plainObject,
		"/registry/somethingnew/ns/n":            plainObject,
		"/elsewhere/secrets/ns/not-a-kubernetes": plainObject,
	}
	c := n.counting()
	c.Resource = etcdkey.Resource{}
	for _, c.Decrypt = range []bool{false, true} {
		resp := n.count(c)
		require.Nil(t, resp.Error)
		var got []string
		for _, tally := range resp.Counted.Tallies {
			got = append(got, fmt.Sprintf("%s %d %v", tally.Resource, tally.Objects, tally.StrayNames))
		}
		assert.Equal(t, []string{" 1 [somethingnew/ns/n]", "deployments.apps 1 []", "secrets 2 [x]", "widgets.example.com 1 []"}, got)
	}
}

func TestCount_goes_on_where_it_stopped(t *testing.T) {
	t.Parallel()
	n, e := countNode(t)
	for i := range 10 {
		e.values[fmt.Sprintf("/registry/secrets/ns/%d", i)] = sealed(t, "1", 'A')
	}
	e.page = 3
	c, total := n.counting(), 0
	for {
		resp := n.count(c)
		require.Nil(t, resp.Error)
		total += resp.Counted.Count
		if resp.Counted.Done {
			break
		}
		c.From, c.Revision = resp.Counted.Next, resp.Counted.Revision
	}
	assert.Equal(t, 10, total)
	assert.Equal(t, int64(7), e.asked[1].Revision)
}

func TestCount_keeps_its_connection_from_request_to_request(t *testing.T) {
	t.Parallel()
	n, e := countNode(t)
	lines := ""
	for _, servers := range []string{"https://a:1", "https://a:1", "https://b:1"} {
		c := n.counting()
		c.Servers = []string{servers}
		data, err := json.Marshal(agentapi.Request{Version: agentapi.Version, Op: agentapi.Count, Count: &c})
		require.NoError(t, err)
		lines += string(data) + "\n"
	}
	require.Len(t, n.say(lines), 3)
	require.Len(t, e.opened, 2)
	assert.Equal(t, []string{"https://b:1"}, e.opened[1].Endpoints)
	assert.Equal(t, 2, e.closed, "none is left when the input ends")
}

func TestCount_asks_the_etcd_that_holds_the_resource(t *testing.T) {
	t.Parallel()
	n, e := countNode(t)
	c := n.counting()
	c.Resource, c.Overrides = etcdkey.Resource{Name: "events"}, []string{"/events#https://e:1;https://f:1"}
	require.Nil(t, n.count(c).Error)
	assert.Equal(t, []string{"https://e:1", "https://f:1"}, e.opened[0].Endpoints)
	assert.Equal(t, "/registry/events/", string(e.asked[0].Prefix))
}

func TestCount_tells_what_was_counted_when_etcd_ceased_to_answer(t *testing.T) {
	t.Parallel()
	n, e := countNode(t)
	e.values = map[string]string{"/registry/secrets/ns/a": plainObject, "/registry/secrets/ns/b": plainObject}
	e.failAfter = 1
	resp := n.count(n.counting())
	require.Nil(t, resp.Error)
	assert.Equal(t, 1, resp.Counted.Count)
	assert.False(t, resp.Counted.Done)
	assert.Equal(t, "/registry/secrets/ns/a\x00", string(resp.Counted.Next))

	e.broken = errNoEtcd
	resp = n.count(n.counting())
	require.NotNil(t, resp.Error)
	assert.Equal(t, agentapi.Unreachable, resp.Error.Code)
	assert.Contains(t, resp.Error.Message, "connection refused")
	assert.Nil(t, resp.Counted)
}

func TestCount_refuses_another_configuration_than_it_is_to_count_by(t *testing.T) {
	t.Parallel()
	n, e := countNode(t)
	c := n.counting()
	c.Config = encconfig.Digest([]byte("another"))
	resp := n.count(c)
	require.NotNil(t, resp.Error)
	assert.Equal(t, agentapi.Changed, resp.Error.Code)
	assert.Empty(t, e.asked)
}

func TestCount_without_a_configuration_takes_everything_for_plaintext(t *testing.T) {
	t.Parallel()
	n, e := countNode(t)
	e.values = map[string]string{"/registry/secrets/ns/a": plainObject, "/registry/secrets/ns/b": sealed(t, "1", 'A')}
	c := n.counting()
	c.Config = ""
	resp := n.count(c)
	require.Nil(t, resp.Error)
	assert.Equal(t, []string{"current identity 1", "missing secretbox/1 1 ns/b"}, groups(resp.Counted.Tallies[0]))
}

func TestCount_ends_before_its_answer_is_too_long(t *testing.T) {
	t.Parallel()
	n, e := countNode(t)
	long, many := strings.Repeat("\x01", 500), 6000
	for i := range many {
		e.values[fmt.Sprintf("/registry/secrets/ns/%s%05d", long, i)] = plainObject
	}
	c, total, requests := n.counting(), 0, 0
	c.Names = census.AllNames
	for done := false; !done; requests++ {
		resp := n.count(c)
		require.Nil(t, resp.Error)
		require.Positive(t, resp.Counted.Count)
		total, done = total+resp.Counted.Count, resp.Counted.Done
		assert.Len(t, resp.Counted.Tallies[0].Groups[0].Names, resp.Counted.Count)
		c.From = resp.Counted.Next
	}
	assert.Equal(t, many, total)
	assert.Greater(t, requests, 1)
}

func TestCount_says_nothing_of_values(t *testing.T) {
	t.Parallel()
	n, e := countNode(t)
	e.values = map[string]string{
		"/registry/secrets/ns/a": "canary", "/registry/secrets/ns/b": plainObject + "canary", "/registry/secrets/ns/c": `{"data":"canary"}`,
		"/registry/secrets/ns/d": "k8s:enc:secretbox:v1:2:canary",
	}
	for _, decrypt := range []bool{false, true} {
		c := n.counting()
		c.Decrypt = decrypt
		data, err := json.Marshal(n.count(c))
		require.NoError(t, err)
		assert.NotContains(t, string(data), "canary")
		assert.NotContains(t, string(data), "Y2FuYXJ5")
	}
}

func TestCount_refuses_requests_that_can_not_be(t *testing.T) {
	t.Parallel()
	n, _ := countNode(t)
	tests := map[string]struct {
		change  func(*agentapi.Counting)
		message string
	}{
		"a digest that is none":             {func(c *agentapi.Counting) { c.Config = "x" }, "by which configuration"},
		"keys without a configuration":      {func(c *agentapi.Counting) { c.Config, c.Decrypt = "", true }, "no key to decrypt with"},
		"more time than there is":           {func(c *agentapi.Counting) { c.Within = agentapi.MaxWithin + 1 }, "a number that can't be"},
		"a revision below 0":                {func(c *agentapi.Counting) { c.Revision = -1 }, "a number that can't be"},
		"fewer names than all":              {func(c *agentapi.Counting) { c.Names = -2 }, "a number that can't be"},
		"overrides that are not understood": {func(c *agentapi.Counting) { c.Overrides = []string{"x"} }, "--etcd-servers-overrides"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := n.counting()
			tt.change(&c)
			n := &node{t: t, Server: n.Server}
			resp := n.count(c)
			require.NotNil(t, resp.Error)
			assert.Equal(t, agentapi.BadRequest, resp.Error.Code)
			assert.Contains(t, resp.Error.Message, tt.message)
		})
	}
}

func TestCount_of_everything_takes_the_folder_of_a_built_in_group_for_nobodys(t *testing.T) {
	t.Parallel()
	n, e := countNode(t)
	e.values = map[string]string{"/registry/coordination.k8s.io/leases/a/b": plainObject, "/registry/leases/a/b": plainObject}
	c := n.counting()
	c.Resource = etcdkey.Resource{}
	resp := n.count(c)
	require.Nil(t, resp.Error)
	require.Len(t, resp.Counted.Tallies, 2)
	assert.Equal(t, []string{"coordination.k8s.io/leases/a/b"}, resp.Counted.Tallies[0].StrayNames)
	assert.Equal(t, "leases.coordination.k8s.io", resp.Counted.Tallies[1].Resource)
	assert.Equal(t, int64(1), resp.Counted.Tallies[1].Objects)
}

func TestTeller_takes_any_key(t *testing.T) {
	t.Parallel()
	layout, err := etcdkey.NewLayout("/registry", nil, nil)
	require.NoError(t, err)
	all := newTeller(layout, nil, agentapi.Counting{Names: 9})
	one := newTeller(layout, nil, agentapi.Counting{Names: 9})
	require.NoError(t, one.expect(etcdkey.Resource{Name: "leases.coordination.k8s.io", Scope: etcdkey.Namespaced}))
	for _, key := range []string{"", "/", "/r", "/registry", "/registry/", "/registry/leases", "/registry/leases/", "/registry/x.y/z"} {
		require.NoError(t, all.take([]byte(key), []byte(plainObject), 1), key)
		require.NoError(t, one.take([]byte(key), []byte(plainObject), 1), key)
	}
}

// answered counts everything until it is done and gives the number of values, having looked at each answer.
func (n *node) answered(c agentapi.Counting, look func(agentapi.Response)) (total int) {
	n.t.Helper()
	c.Resource = etcdkey.Resource{}
	for {
		resp := n.count(c)
		require.Nil(n.t, resp.Error)
		require.NotNil(n.t, resp.Counted)
		require.Positive(n.t, resp.Counted.Count)
		look(resp)
		total += resp.Counted.Count
		if resp.Counted.Done {
			return total
		}
		c.From = resp.Counted.Next
	}
}

func TestCount_of_everything_tells_so_many_resources_and_no_more(t *testing.T) {
	t.Parallel()
	n, e := countNode(t)
	const many = 200_000
	for i := range many {
		e.values[fmt.Sprintf("/registry/g%06d.x/w/a", i)] = plainObject
	}
	first := true
	total := n.answered(n.counting(), func(resp agentapi.Response) {
		assert.Less(t, len(encode(resp)), agentapi.MaxLine)
		require.LessOrEqual(t, len(resp.Counted.Tallies), mostResources+1)
		if first {
			assert.Equal(t, resp.Counted.Count-mostResources, int(resp.Counted.Tallies[0].Objects), "the others are nobody's")
			assert.Equal(t, []string{"g002000.x/w/a", "g002001.x/w/a"}, resp.Counted.Tallies[0].StrayNames)
		}
		first = false
	})
	assert.Equal(t, many, total)
}

func TestCount_ends_before_groups_make_its_answer_too_long(t *testing.T) {
	t.Parallel()
	n, e := countNode(t)
	for i := range 30_000 { // of each resource more groups than are told, each with as long a name as there can be
		name := fmt.Sprintf("%05d%s", i, strings.Repeat("\x01", 251))
		e.values[fmt.Sprintf("/registry/g%03d.x/w/%05d", i/300, i)] = "k8s:enc:secretbox:v1:" + name + ":" + strings.Repeat("x", 60)
	}
	c, requests := n.counting(), 0
	c.Names = 0
	total := n.answered(c, func(resp agentapi.Response) {
		requests++
		assert.Less(t, len(encode(resp)), agentapi.MaxLine)
	})
	assert.Equal(t, len(e.values), total)
	assert.Greater(t, requests, 1)
}
