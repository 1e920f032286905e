// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdkey

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"pgregory.net/rapid"
)

//go:embed testdata/keys.txt
var realKeys string

func layout(t require.TestingT, prefix string, overrides ...string) Layout {
	l, err := NewLayout(prefix, []string{"https://main:2379"}, overrides)
	require.NoError(t, err)
	return l
}

// What a real kube-apiserver wrote, and what its discovery says of it.
func TestPathsAreThoseOfKubeAPIServer(t *testing.T) {
	t.Parallel()
	l := layout(t, DefaultPrefix)
	for line := range strings.Lines(realKeys) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Fields(line)
		kind, found, object := l.Identify([]byte(f[0]))
		if f[1] == "own" {
			assert.Equal(t, Own, kind, line)
			continue
		}
		r, err := ParseResource(f[1])
		require.NoError(t, err)
		if strings.Contains(f[1], ".example.com") {
			assert.Equal(t, AnyScope, r.Scope, line)
			r.Scope = Scope(f[2])
		}
		assert.Equal(t, Scope(f[2]), r.Scope, line)
		its, ok := ObjectOf(l.Prefix(r), []byte(f[0]), r.Scope)
		assert.True(t, ok, line)
		assert.Equal(t, f[0], l.Prefix(r)+its.String())
		assert.Equal(t, r.Scope == Namespaced, its.Namespace != "", line)

		assert.Equal(t, Stored, kind, line)
		assert.Equal(t, r.Name, found.Name)
		assert.Equal(t, its, object)
	}
}

func TestPrefixFollowsTheServersRules(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ prefix, resource, want string }{
		"a resource of the core group has its name":         {"/registry", "secrets", "/registry/secrets/"},
		"a resource of a group has it without the group":    {"/registry", "deployments.apps", "/registry/deployments/"},
		"nodes are minions":                                 {"/registry", "nodes", "/registry/minions/"},
		"a resource called nodes in another group is not":   {"/registry", "nodes.example.com", "/registry/example.com/nodes/"},
		"a custom resource has its group before it":         {"/registry", "crontabs.stable.example.com", "/registry/stable.example.com/crontabs/"},
		"a group like a built-in one is a custom one":       {"/registry", "volumesnapshots.snapshot.storage.k8s.io", "/registry/snapshot.storage.k8s.io/volumesnapshots/"},
		"custom resource definitions have their group":      {"/registry", "customresourcedefinitions.apiextensions.k8s.io", "/registry/apiextensions.k8s.io/customresourcedefinitions/"},
		"API services have theirs":                          {"/registry", "apiservices.apiregistration.k8s.io", "/registry/apiregistration.k8s.io/apiservices/"},
		"events of both groups are in one place":            {"/registry", "events.events.k8s.io", "/registry/events/"},
		"a built-in resource that is new here has no group": {"/registry", "newthings.storage.k8s.io", "/registry/newthings/"},
		"another prefix goes before all":                    {"/clusters/a", "secrets", "/clusters/a/secrets/"},
		"a prefix without a slash gets one":                 {"registry", "secrets", "/registry/secrets/"},
		"a prefix is made clean":                            {"//a/./b/../c/", "secrets", "/a/c/secrets/"},
		"an empty prefix is the root":                       {"", "secrets", "/secrets/"},
		"a slash is the root":                               {"/", "foos.cr.example.com", "/cr.example.com/foos/"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := ParseResource(tt.resource)
			require.NoError(t, err)
			assert.Equal(t, tt.want, layout(t, tt.prefix).Prefix(r))
		})
	}
}

func TestWhoAskedTheAPIServerDecidesWhetherTheGroupIsInThePath(t *testing.T) {
	t.Parallel()
	r, err := ParseResource("runtimeclasses.node.k8s.io")
	require.NoError(t, err)
	assert.Equal(t, "/registry/runtimeclasses/", layout(t, DefaultPrefix).Prefix(r))
	r.Grouped = true // as a custom resource, which it once was
	assert.Equal(t, "/registry/node.k8s.io/runtimeclasses/", layout(t, DefaultPrefix).Prefix(r))
}

func TestParseResourceRefusesWhatIsNoName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"", "*", "*.*", "*.apps", "*.", "secrets.", ".apps", "secrets..apps", "Secrets", "a/b", "../secrets", "secrets ", "se\x1bcrets", "se\xffcrets",
		strings.Repeat("a", maxName+1),
	} {
		_, err := ParseResource(name)
		require.Error(t, err, name)
		assert.NotContains(t, err.Error(), "\x1b")
	}
}

func TestObjectOfTakesWhatFits(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 253)
	tests := map[string]struct {
		below string
		scope Scope
		want  Object
		ok    bool
	}{
		"a name in a namespace":                     {"default/token", Namespaced, Object{"default", "token"}, true},
		"a name without one":                        {"node1", ClusterScoped, Object{"", "node1"}, true},
		"of an unknown scope, one part is a name":   {"node1", AnyScope, Object{"", "node1"}, true},
		"of an unknown scope, two are both":         {"default/token", AnyScope, Object{"default", "token"}, true},
		"a name with colons and dots":               {"system:a.b:c", ClusterScoped, Object{"", "system:a.b:c"}, true},
		"a name of 253 bytes":                       {"ns/" + long, Namespaced, Object{"ns", long}, true},
		"bytes that are no text":                    {"ns/\xff\x1b[2J", Namespaced, Object{"ns", "\xff\x1b[2J"}, true},
		"a name without a namespace that needs one": {"token", Namespaced, Object{}, false},
		"a namespace for what has none":             {"default/node1", ClusterScoped, Object{}, false},
		"three parts":                               {"a/b/c", AnyScope, Object{}, false},
		"no part":                                   {"", AnyScope, Object{}, false},
		"a namespace without a name":                {"default/", AnyScope, Object{}, false},
		"a name without its namespace":              {"/token", AnyScope, Object{}, false},
		"a name that would leave the folder":        {"default/..", Namespaced, Object{}, false},
		"a name with a percent sign":                {"default/a%2fb", Namespaced, Object{}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := ObjectOf("/registry/secrets/", []byte("/registry/secrets/"+tt.below), tt.scope)
			assert.Equal(t, tt.ok, ok)
			assert.Equal(t, tt.want, got)
		})
	}
	_, ok := ObjectOf("/registry/secrets/", []byte("/registry/secretsx/a/b"), Namespaced)
	assert.False(t, ok, "another resource with the same beginning")
	_, ok = ObjectOf("/registry/services/specs/", []byte("/registry/services/endpoints/a/b"), Namespaced)
	assert.False(t, ok, "another resource in the same folder")
}

func TestIdentifyTellsWhatAKeyIs(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]struct {
		kind     Kind
		resource string
	}{
		"/registry/services/specs/default/kubernetes": {Stored, "services"},
		"/registry/ingress/default/web":               {Stored, "ingresses.networking.k8s.io"},
		"/registry/node.k8s.io/runtimeclasses/old":    {Unfamiliar, ""},
		"/registry/secrets/token":                     {Misfit, "secrets"},
		"/registry/secrets/":                          {Misfit, "secrets"},
		"/registry/minions/a/b":                       {Misfit, "nodes"},
		"/registry/example.com/foos/a/b/c":            {Misfit, "foos.example.com"},
		"/registry/ranges/serviceips":                 {Own, ""},
		"/registry/masterleases/192.0.2.1":            {Own, ""},
		"/registry/nodes/n1":                          {Unfamiliar, ""},
		"/registry/replicationcontrollers/a/b":        {Unfamiliar, ""},
		"/registry/services/a":                        {Unfamiliar, ""},
		"/registry/services/other/a/b":                {Unfamiliar, ""},
		"/registry/podsecuritypolicy/a":               {Unfamiliar, ""},
		"/registry/example.com/foos":                  {Unfamiliar, ""},
		"/registry/example.com/Foos/a":                {Unfamiliar, ""},
		"/registry/example.com/a.b/c":                 {Unfamiliar, ""},
		"/registry/.../foos/c":                        {Unfamiliar, ""},
		"/registry/health":                            {Unfamiliar, ""},
		"/registry/":                                  {Unfamiliar, ""},
		"/registry":                                   {Outside, ""},
		"compact_rev_key":                             {Outside, ""},
		"/registryx/secrets/a/b":                      {Outside, ""},
	} {
		kind, r, object := layout(t, DefaultPrefix).Identify([]byte(key))
		assert.Equal(t, want.kind, kind, key)
		assert.Equal(t, want.resource, r.Name, key)
		assert.Equal(t, kind == Stored, object != Object{}, key)
	}
}

func TestOverridesSayWhichServersHoldAResource(t *testing.T) {
	t.Parallel()
	l := layout(t, DefaultPrefix, "/events#https://e1:2379;https://e2:2379,apps/*#https://apps:2379", "apps/deployments#https://old:1",
		"apps/deployments#https://d:2379", "events.k8s.io/events#https://nobody:1", "example.com/foos#https://nobody:1",
		"apiextensions.k8s.io/customresourcedefinitions#https://nobody:1")
	for resource, want := range map[string]string{
		"secrets":              "https://main:2379",
		"events":               "https://e1:2379 https://e2:2379",
		"events.events.k8s.io": "https://e1:2379 https://e2:2379",
		"statefulsets.apps":    "https://apps:2379",
		"deployments.apps":     "https://d:2379",
		"foos.example.com":     "https://main:2379",
		"customresourcedefinitions.apiextensions.k8s.io": "https://main:2379",
	} {
		r, err := ParseResource(resource)
		require.NoError(t, err)
		servers, moved := l.Servers(r)
		assert.Equal(t, want, strings.Join(servers, " "), resource)
		assert.Equal(t, want != "https://main:2379", moved, resource)
	}
}

func TestFlagsThatKubeAPIServerRefusesAreRefused(t *testing.T) {
	t.Parallel()
	for name, overrides := range map[string][]string{
		"no servers":            {"/events"},
		"an empty server":       {"/events#https://user:hunter2@e1;"},
		"no servers behind #":   {"/events#"},
		"two #":                 {"/events#https://user:hunter2@a#b"},
		"no slash":              {"events#https://user:hunter2@e1"},
		"two slashes":           {"a/b/c#https://user:hunter2@e1"},
		"one wrong among right": {"/events#https://e1:1,wrong"},
		"quotes that are open":  {`/events#"https://user:hunter2@e1`},
	} {
		_, err := NewLayout(DefaultPrefix, nil, overrides)
		require.Error(t, err, name)
		assert.NotContains(t, err.Error(), "hunter2", name)
	}
	l, err := NewLayout(DefaultPrefix, []string{"https://a:1,https://b:1", "", "https://c:1"}, []string{""})
	require.NoError(t, err)
	servers, _ := l.Servers(Resource{Name: "secrets"})
	assert.Equal(t, []string{"https://a:1", "https://b:1", "https://c:1"}, servers)
	_, err = NewLayout(DefaultPrefix, []string{`"`}, nil)
	assert.Error(t, err)
}

// A part of a path is what kube-apiserver would make one, and nothing else.
func TestPartsAreThoseOfKubeAPIServer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.SampledFrom([]string{".", "..", "a/b", "%", "/", "a."}), rapid.StringN(1, 20, -1)).Draw(t, "name")
		_, ok := parse(s, ClusterScoped)
		assert.Equal(t, len(content.IsPathSegmentName(s)) == 0, ok, "%q", s)
	})
}

// Whatever resource, its keys are found to be its own, and the keys of no other.
func TestIdentifyIsTheReverseOfPrefix(t *testing.T) {
	t.Parallel()
	label := rapid.StringMatching(`[a-z]{1,5}`)
	names := rapid.OneOf(
		rapid.SampledFrom([]string{"secrets", "services", "endpoints", "nodes", "events", "ingresses.networking.k8s.io", "replicationcontrollers", "pods", "podtemplates"}),
		rapid.Custom(func(t *rapid.T) string { return label.Draw(t, "plural") + "." + label.Draw(t, "group") + ".com" }),
	)
	rapid.Check(t, func(t *rapid.T) {
		l := layout(t, rapid.SampledFrom([]string{"/registry", "", "/a/b"}).Draw(t, "prefix"))
		name := names.Draw(t, "resource")
		r, err := ParseResource(name)
		require.NoError(t, err)
		object := Object{Name: label.Draw(t, "name")}
		if r.Scope != ClusterScoped {
			object.Namespace = label.Draw(t, "namespace")
		}
		key := []byte(l.Prefix(r) + object.String())
		kind, found, its := l.Identify(key)
		assert.Equal(t, Stored, kind)
		assert.Equal(t, r, found)
		assert.Equal(t, object, its)
		if other, err := ParseResource(names.Draw(t, "other")); err == nil && other.Name != name {
			_, ok := ObjectOf(l.Prefix(other), key, AnyScope)
			assert.False(t, ok)
		}
	})
}

// A folder with the name of a group whose resources are stored without it is nobody's.
func TestTheFolderOfABuiltInGroupIsUnfamiliar(t *testing.T) {
	t.Parallel()
	l := layout(t, DefaultPrefix)
	for _, key := range []string{
		"/registry/coordination.k8s.io/leases/a/b", "/registry/storage.k8s.io/newthings/a", "/registry/node.k8s.io/runtimeclasses/a",
	} {
		kind, r, _ := l.Identify([]byte(key))
		assert.Equal(t, Unfamiliar, kind, key)
		assert.Zero(t, r, key)
	}
}

func FuzzIdentify(f *testing.F) {
	for line := range strings.Lines(realKeys) {
		f.Add([]byte(strings.Fields(line)[0]))
	}
	l, err := NewLayout(DefaultPrefix, nil, nil)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, key []byte) {
		kind, r, object := l.Identify(key)
		if kind != Stored && kind != Misfit {
			assert.Equal(t, Resource{}, r)
			return
		}
		assert.True(t, strings.HasPrefix(string(key), l.Prefix(r)))
		if kind == Stored {
			assert.Equal(t, string(key), l.Prefix(r)+object.String())
		}
	})
}

func BenchmarkObjectOf(b *testing.B) {
	key := []byte("/registry/secrets/default/default-token-x7k2p")
	b.ReportAllocs()
	for b.Loop() {
		ObjectOf("/registry/secrets/", key, Namespaced)
	}
}
