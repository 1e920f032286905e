// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	key1     = encconfig.Key{Provider: encconfig.AESGCM, Name: "1", Fingerprint: "f1"}
	key2     = encconfig.Key{Provider: encconfig.AESGCM, Name: "2", Fingerprint: "f2"}
	vault    = encconfig.Key{Provider: encconfig.KMS, Name: "vault", Version: "v1"}
	identity = encconfig.Key{Provider: encconfig.Identity}
	// encrypted has Secrets under key 2, read with key 1 and in plaintext, and ConfigMaps in a KMS, plaintext not read.
	encrypted = encconfig.Description{Digest: "sha256:befe76d39dfc401add681eca0a72dd0f", Rules: []encconfig.Rule{
		{Resources: []string{"secrets"}, Keys: []encconfig.Key{key2, key1, identity}},
		{Resources: []string{"configmaps"}, Keys: []encconfig.Key{vault}},
	}}
)

var plaintext = stored.Mark{Form: stored.Plaintext, Provider: encconfig.Identity}

func with(provider encconfig.Provider, name string) stored.Mark {
	return stored.Mark{Form: stored.Encrypted, Provider: provider, Version: "v1", Key: name}
}

// some is so many values of a kind.
type some struct {
	n    int
	mark stored.Mark
}

func tally(c *census.Counter, values ...some) census.Tally {
	for kind, v := range values {
		for i := range v.n {
			c.Add(fmt.Appendf(nil, "ns/%c%d", 'a'+kind, i), v.mark)
		}
	}
	return c.Tally()
}

func judged(config encconfig.Description, resource string, values ...some) census.Tally {
	return tally(census.NewCounter(config, resource, 3), values...)
}

func surveyed(resource string, values ...some) census.Tally {
	return tally(census.NewSurveyor(resource, 3), values...)
}

// live is what a live cluster told.
func live(config encconfig.Description, held []encconfig.Key, whole []string, tallies ...census.Tally) Result {
	return Result{
		Census: census.Of(config, whole, tallies...), Config: config, Held: held,
		Source: Source{Node: "n1", Endpoint: "https://127.0.0.1:2379", Revision: 4711, Time: time.Unix(1_800_000_000, 0).UTC()},
	}
}

func ofFile(config encconfig.Description, tallies ...census.Tally) Result {
	r := live(config, nil, []string{"*.*"}, tallies...)
	r.Source = Source{File: "etcd.db", Hash: "fits", Revision: 4711, Time: r.Source.Time}
	r.Everything = true
	return r
}

// results are results of verifications. The tables of the command are made of what they come to.
func results() map[string]Result {
	secrets := []string{"secrets", "configmaps"}
	damaged := with(encconfig.AESGCM, "2")
	damaged.Damaged = true
	compacted := live(encrypted, nil, secrets, judged(encrypted, "secrets", some{7, with(encconfig.AESGCM, "2")}))
	compacted.Notes = []string{"etcd was compacted meanwhile"}
	none := encconfig.Description{}
	var plain, plainToo []census.Tally
	for i := range 30 {
		name := fmt.Sprintf("gadgets%02d.example.com", i)
		plain, plainToo = append(plain, judged(encrypted, name, some{i + 1, plaintext})), append(plainToo, surveyed(name, some{i + 1, plaintext}))
	}
	both := []some{{5, with(encconfig.AESGCM, "2")}, {3, with(encconfig.AESGCM, "1")}, {1, plaintext}}
	return map[string]Result{
		"all is well": live(encrypted, nil, secrets,
			judged(encrypted, "secrets", some{1234, with(encconfig.AESGCM, "2")}), judged(encrypted, "configmaps", some{50, with(encconfig.KMS, "vault")})),
		"a migration is half done": live(encrypted, nil, secrets, judged(encrypted, "secrets", both...), judged(encrypted, "configmaps")),
		"a key is in a history": live(encrypted, []encconfig.Key{key1, key2, {Provider: encconfig.AESGCM, Name: "0"}}, secrets,
			judged(encrypted, "secrets", some{9, with(encconfig.AESGCM, "2")}, some{2, with(encconfig.AESGCM, "0")})),
		"a key is nowhere": live(encrypted, []encconfig.Key{key1, key2}, secrets,
			judged(encrypted, "secrets", some{9, with(encconfig.AESGCM, "2")}, some{2, with(encconfig.AESGCM, "0")})),
		"a key of which not every node was asked": live(encrypted, nil, secrets,
			judged(encrypted, "secrets", some{9, with(encconfig.AESGCM, "2")}, some{2, with(encconfig.AESGCM, "0")})),
		"events are stale": live(encconfig.Description{Digest: "sha256:c", Rules: []encconfig.Rule{{Resources: []string{"*.*"}, Keys: []encconfig.Key{key2, key1}}}}, nil, []string{"*.*"},
			judged(encconfig.Description{Rules: []encconfig.Rule{{Resources: []string{"*.*"}, Keys: []encconfig.Key{key2, key1}}}}, "events", some{3, with(encconfig.AESGCM, "1")})),
		"everything that can be wrong": live(encrypted, []encconfig.Key{}, secrets,
			judged(encrypted, "secrets", append(both, some{4, with(encconfig.AESGCM, "0")}, some{1, damaged}, some{1, stored.Mark{Form: stored.Undecodable}},
				some{1, stored.Mark{Form: stored.Unknown, Provider: "rot13", Version: "v1"}})...),
			judged(encrypted, "configmaps", some{1, plaintext})),
		"compacted meanwhile, and not everything counted": func() Result { compacted.Census.Whole = nil; return compacted }(),
		"no configuration":                          live(none, nil, []string{"secrets"}, judged(none, "secrets", some{10, plaintext})),
		"no configuration and yet encrypted":        live(none, []encconfig.Key{}, []string{"secrets"}, judged(none, "secrets", some{10, plaintext}, some{1, with(encconfig.AESGCM, "2")})),
		"no configuration and nothing stored":       live(none, nil, []string{"secrets"}, judged(none, "secrets")),
		"a backup without a configuration":          ofFile(none, append(plainToo, surveyed("secrets", both...))...),
		"a backup with damage and no configuration": ofFile(none, surveyed("secrets", some{2, damaged}, some{1, with(encconfig.KMS, "vault")})),
		"a backup in plaintext":                     ofFile(none, surveyed("secrets", some{2, plaintext})),
		"a backup that a configuration reads":       ofFile(encrypted, append(plain, judged(encrypted, "secrets", both[:2]...))...),
		"a backup for which a configuration lacks a key": ofFile(encrypted, append(plain, judged(encrypted, "secrets", both[0], some{2, with(encconfig.AESGCM, "0")}),
			judged(encrypted, "pods", some{1, with(encconfig.AESGCM, "2")}))...),
	}
}

func TestAssess(t *testing.T) {
	t.Parallel()
	all := results()
	maps.Copy(all, withResidue())
	for name, r := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := v1alpha1.Cluster{Context: "admin@cluster", Server: "https://127.0.0.1:6443", User: "admin"}
			if r.Source.File != "" {
				cluster = v1alpha1.Cluster{}
			}
			got, err := json.MarshalIndent(Assess(r, cluster), "", "  ")
			require.NoError(t, err)
			path := filepath.Join("testdata", file(name)+".json")
			if *update {
				require.NoError(t, os.WriteFile(path, append(got, '\n'), 0o600))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, string(want), string(got)+"\n")
		})
	}
}

func file(name string) string {
	b := []byte(name)
	for i := range b {
		if b[i] == ' ' {
			b[i] = '-'
		}
	}
	return string(slices.DeleteFunc(b, func(c byte) bool { return c == ',' || c == '\'' }))
}

func TestAssessingChangesNothing(t *testing.T) {
	t.Parallel()
	r := results()["no configuration"]
	before, err := json.Marshal(r)
	require.NoError(t, err)
	Assess(r, v1alpha1.Cluster{})
	after, err := json.Marshal(r)
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after))
}

func TestTheWayToDeleteWhatNobodyCanRead(t *testing.T) {
	t.Parallel()
	const options = `echo '{"kind":"DeleteOptions","apiVersion":"v1","ignoreStoreReadErrorWithClusterBreakingPotential":true}' | kubectl delete --raw `
	for want, of := range map[string][2]string{
		"/api/v1/namespaces/ns/secrets/a":                          {"secrets", "ns/a"},
		"/api/v1/nodes/n1":                                         {"nodes", "n1"},
		"/apis/apps/VERSION/namespaces/ns/deployments/a":           {"deployments.apps", "ns/a"},
		"/api/v1/namespaces/NAMESPACE/secrets/NAME":                {"secrets", "ns/$(reboot)"},
		"/apis/x.example.com/VERSION/namespaces/NAMESPACE/ws/NAME": {"ws.x.example.com", "a/b/c"},
	} {
		assert.Equal(t, options+want+" -f -", unsafeDelete(of[0], of[1]))
	}
	assert.Equal(t, options+"/api/v1/namespaces/NAMESPACE/secrets/NAME -f -", unsafeDelete("secrets", `ns/a\x1b`))
	assert.Equal(t, options+"/api/v1/namespaces/NAMESPACE/secrets/NAME -f -", unsafeDelete("secrets", ""), "with no name kept")
	assert.Equal(t, options+"/api/v1/namespaces/NAMESPACE/secrets/NAME -f -", unsafeDelete("secrets", "-n/a b"))
}
