// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agreement_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agreement"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// conf reads a configuration as these tests write it: "secrets:2,1,-;*.apps:1" has two rules, - is plaintext, and 1b is
// another key of the name 1.
func conf(text string) encconfig.Description {
	d := encconfig.Description{Digest: "sha256:" + text}
	for rule := range strings.SplitSeq(text, ";") {
		names, keys, _ := strings.Cut(rule, ":")
		r := encconfig.Rule{Resources: strings.Split(names, ",")}
		for k := range strings.SplitSeq(keys, ",") {
			r.Keys = append(r.Keys, keyOf(k))
		}
		d.Rules = append(d.Rules, r)
	}
	return d
}

func keyOf(text string) encconfig.Key {
	switch text {
	case "-":
		return identity()
	case "kms":
		return encconfig.Key{Provider: encconfig.KMS, Name: "vault", Version: "v2"}
	}
	k := gcm(strings.TrimSuffix(text, "b"))
	k.Fingerprint = "fp" + text
	return k
}

// said is a configuration as conf reads it.
func said(d encconfig.Description) string {
	var rules []string
	for _, r := range d.Rules {
		var keys []string
		for _, k := range r.Keys {
			text := strings.TrimPrefix(k.Fingerprint, "fp")
			if k == identity() {
				text = "-"
			}
			keys = append(keys, text)
		}
		rules = append(rules, strings.Join(r.Resources, ",")+":"+strings.Join(keys, ","))
	}
	return strings.Join(rules, ";")
}

// node has a file, or what is wrong with it, and a kube-apiserver that has loaded something: the file, if it is not said.
// The history begins with what is loaded.
func node(name, file string, more ...string) agreement.Node {
	n := agreement.Node{Name: name, TellsLoaded: true}
	loaded := file
	if len(more) > 0 {
		loaded = more[0]
	}
	for _, text := range append([]string{loaded}, more[min(1, len(more)):]...) {
		n.History = append(n.History, conf(text))
	}
	n.Loaded = conf(loaded).Digest
	switch file {
	case "missing":
		n.Missing, n.Problem = true, "it is not there"
	case "garbage":
		n.Digest, n.Problem = "sha256:garbage", "it is not understood"
	case "link":
		n.Problem = "config.yaml is a symbolic link"
	default:
		d := conf(file)
		n.Config, n.Digest = &d, d.Digest
		n.Proven = n.Digest == n.Loaded
	}
	return n
}

func observed(nodes ...agreement.Node) agreement.Observed { return agreement.Observed{Nodes: nodes} }

// way says each step of a preview: what it is, and which node gets what.
func way(t *testing.T, o agreement.Observed) []string {
	t.Helper()
	steps, err := agreement.Preview(o)
	require.NoError(t, err)
	var list []string
	for _, s := range steps {
		var parts []string
		for _, to := range s.Targets {
			parts = append(parts, to.Node+"="+said(to.Want))
		}
		list = append(list, strings.TrimSpace(string(s.Kind)+" "+strings.Join(parts, " ")))
	}
	return list
}

func TestTheWayToAnAgreement(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		nodes []agreement.Node
		want  []string
	}{
		"all the same and loaded => nothing": {
			[]agreement.Node{node("n1", "secrets:2,1,-"), node("n2", "secrets:2,1,-")}, []string{"done"},
		},
		"all the same and one has not loaded it => wait for that one": {
			[]agreement.Node{node("n1", "secrets:2,1,-"), node("n2", "secrets:2,1,-", "secrets:1,2,-")}, []string{"await", "done"},
		},
		"one file is gone, its kube-apiserver goes on => the others' file": {
			[]agreement.Node{node("n1", "secrets:2,1,-"), node("n2", "missing", "secrets:2,1,-")},
			[]string{"agree n2=secrets:2,1,-", "await", "done"},
		},
		"the only file is cut => what is loaded, from the history": {
			[]agreement.Node{node("n1", "garbage", "secrets:2,1,-")}, []string{"agree n1=secrets:2,1,-", "await", "done"},
		},
		"one has an older file that reads the newer key => the newer one everywhere": {
			[]agreement.Node{node("n1", "secrets:1,2,-"), node("n2", "secrets:2,1,-"), node("n3", "secrets:2,1,-")},
			[]string{"agree n1=secrets:2,1,-", "await", "done"},
		},
		"one came back from before the key => the key first, then the write key": {
			[]agreement.Node{node("n1", "secrets:1,-"), node("n2", "secrets:2,1,-")},
			[]string{"unite n1=secrets:1,2,-", "await", "agree n1=secrets:2,1,-", "await", "done"},
		},
		"a further key by hand => everybody reads it": {
			[]agreement.Node{node("n1", "secrets:2,1,-"), node("n2", "secrets:2,1,9,-")},
			[]string{"agree n1=secrets:2,1,9,-", "await", "done"},
		},
		"a further key by hand on most => their file as it is": {
			[]agreement.Node{node("n1", "secrets:2,1,-"), node("n2", "secrets:2,1,9,-"), node("n3", "secrets:2,1,9,-")},
			[]string{"agree n1=secrets:2,1,9,-", "await", "done"},
		},
		"all different => all keys, then the newest write key": {
			[]agreement.Node{node("n1", "secrets:1,-"), node("n2", "secrets:2,-"), node("n3", "secrets:3,-")},
			[]string{
				"unite n1=secrets:1,3,2,- n2=secrets:2,3,1,- n3=secrets:3,2,1,-", "await",
				"agree n1=secrets:3,2,1,- n2=secrets:3,2,1,-", "await", "done",
			},
		},
		"a key that was only added => added everywhere and not promoted": {
			[]agreement.Node{node("n1", "secrets:1,2,-"), node("n2", "secrets:1,-")},
			[]string{"agree n2=secrets:1,2,-", "await", "done"},
		},
		"a key in a history alone => comes back": {
			[]agreement.Node{node("n1", "missing", "secrets:3,2,-", "secrets:1,-")},
			[]string{"agree n1=secrets:3,2,1,-", "await", "done"},
		},
		"a newer key in a history that never wrote => was taken back": {
			[]agreement.Node{node("n1", "missing", "secrets:2,-", "secrets:2,3,-")},
			[]string{"agree n1=secrets:2,-", "await", "done"},
		},
		"a newer key in a history that wrote => comes back": {
			[]agreement.Node{node("n1", "missing", "secrets:2,-", "secrets:3,2,-")},
			[]string{"agree n1=secrets:2,3,-", "await", "done"},
		},
		"a newer key that wrote, of which the mark alone tells => comes back": {
			func() []agreement.Node {
				n := node("n1", "missing", "secrets:2,-", "secrets:2,3,-")
				n.HighestWritten = 3
				return []agreement.Node{n}
			}(),
			[]string{"agree n1=secrets:2,3,-", "await", "done"},
		},
		"a newer key in a history of which not all can be read => comes back": {
			func() []agreement.Node {
				n := node("n1", "missing", "secrets:2,-", "secrets:2,3,-")
				n.HistoryDamaged = true
				return []agreement.Node{n}
			}(),
			[]string{"agree n1=secrets:2,3,-", "await", "done"},
		},
		"another key of the same name in a history => left out": {
			[]agreement.Node{node("n1", "missing", "secrets:1,-", "secrets:1b,-")},
			[]string{"agree n1=secrets:1,-", "await", "done"},
		},
		"one encrypts more => everybody does, and plaintext stays readable": {
			[]agreement.Node{node("n1", "secrets:1"), node("n2", "secrets:1;configmaps:1")},
			[]string{
				"unite n1=secrets:1;configmaps:-,1 n2=secrets:1;configmaps:1,-", "await",
				"agree n1=secrets:1;configmaps:1,-", "await", "done",
			},
		},
		"a wildcard and one of what it stands for => the narrow one first": {
			[]agreement.Node{node("n1", "*.*:1,-"), node("n2", "secrets:1,-")},
			[]string{
				"unite n1=secrets:1,-;*.*:1,- n2=secrets:1,-;*.*:-,1", "await",
				"agree n2=secrets:1,-;*.*:1,-", "await", "done",
			},
		},
		"an exception without keys => keeps having none": {
			[]agreement.Node{node("n1", "events:-;*.*:1,-"), node("n2", "missing", "events:-;*.*:1,-")},
			[]string{"agree n2=events:-;*.*:1,-", "await", "done"},
		},
		"a file that says the same in other words => one of them": {
			func() []agreement.Node {
				other := node("n2", "secrets:1,-")
				other.Config.Digest, other.Digest, other.Loaded = "sha256:x", "sha256:x", "sha256:x"
				return []agreement.Node{node("n1", "secrets:1,-"), other}
			}(),
			[]string{"agree n2=secrets:1,-", "await", "done"},
		},
		"the only file is older than what is loaded => nothing of what is loaded is lost": {
			[]agreement.Node{node("n1", "secrets:1,-", "secrets:2,1,-")},
			[]string{"unite n1=secrets:2,1,-", "await", "done"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, way(t, observed(tt.nodes...)))
		})
	}
}

func TestWhatIsNotKnownIsRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		nodes   []agreement.Node
		message string
	}{
		"no node": {nil, "no control-plane node could be looked at"},
		"two keys of one name in use": {
			[]agreement.Node{node("n1", "secrets:1,-"), node("n2", "secrets:1b,-")},
			"two different keys are called aesgcm/1: in the file of n1 (fingerprint fp1) and in the file of n2 (fingerprint fp1b)",
		},
		"a kube-apiserver has loaded what nobody has": {
			[]agreement.Node{node("n1", "secrets:1,-"), func() agreement.Node {
				n := node("n2", "secrets:1,-", "secrets:2,-")
				n.History = nil
				return n
			}()},
			"the kube-apiserver on node n2 runs with a configuration that no node has",
		},
		"a kube-apiserver has loaded what is not understood": {
			[]agreement.Node{node("n1", "secrets:1,-"), func() agreement.Node {
				n := node("n2", "garbage", "secrets:1,-")
				n.Loaded, n.Proven = n.Digest, true
				return n
			}()},
			"the kube-apiserver on node n2 runs with a configuration that is not understood, so its keys can't be kept: it is not understood",
		},
		"a kube-apiserver has loaded a revision that is not understood": {
			[]agreement.Node{func() agreement.Node {
				n := node("n1", "missing", "secrets:1,-")
				n.History = append(n.History, encconfig.Description{Digest: "sha256:odd"})
				n.Loaded = "sha256:odd"
				return n
			}()},
			"runs with a configuration that is not understood",
		},
		"a kube-apiserver without a configuration": {
			[]agreement.Node{node("n1", "secrets:1,-"), func() agreement.Node {
				n := node("n2", "secrets:1,-")
				n.Loaded, n.Proven = "", false
				return n
			}()},
			"the kube-apiserver on node n2 runs without an encryption configuration",
		},
		"a link in the place of the file": {
			[]agreement.Node{node("n1", "link", "secrets:1,-")}, "can't be replaced: config.yaml is a symbolic link",
		},
		"a KMS provider": {
			[]agreement.Node{node("n1", "secrets:kms,-"), node("n2", "secrets:1,-")}, "node n1 uses a KMS provider",
		},
		"before 1.34, a damaged file that may be loaded": {
			[]agreement.Node{older(node("n1", "garbage", "secrets:1,-"))}, "it is not known whether its kube-apiserver has loaded it",
		},
		"before 1.34, nothing to go by": {
			[]agreement.Node{func() agreement.Node {
				n := older(node("n1", "missing", "secrets:1,-"))
				n.History = nil
				return n
			}()},
			"runs with a configuration that no node has",
		},
		"before 1.34, two kube-apiservers that may write with either of two keys": {
			[]agreement.Node{older(node("n1", "secrets:2,-", "secrets:1,-")), older(node("n2", "secrets:3,-", "secrets:4,-"))},
			"it is not known which configuration the kube-apiserver on node n1 has loaded",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := agreement.Next(observed(tt.nodes...))
			require.ErrorIs(t, err, agreement.ErrRefused)
			assert.ErrorContains(t, err, tt.message)
		})
	}
}

func TestBefore134NothingIsLostOfWhatMayBeLoaded(t *testing.T) {
	t.Parallel()
	// n1 may have loaded the oldest of its history, which alone has a rule for configmaps.
	o := observed(older(node("n1", "missing", "secrets:1,-;configmaps:1,-", "secrets:1,-")), node("n2", "secrets:1,-"))
	assert.Equal(t, []string{"agree n1=secrets:1,-;configmaps:-,1 n2=secrets:1,-;configmaps:-,1", "await", "done"}, way(t, o))

	o = observed(older(node("n1", "missing", "secrets:1,-;configmaps:1", "secrets:1,-")), node("n2", "secrets:1,-"))
	assert.Equal(t, []string{"agree n1=secrets:1,-;configmaps:-,1 n2=secrets:1,-;configmaps:-,1", "await", "done"}, way(t, o),
		"it may not read the plaintext that the other writes, and can then")

	o = observed(older(node("n1", "missing", "secrets:1,-;configmaps:1", "secrets:1,-")), older(node("n2", "secrets:1,-", "secrets:1,-;configmaps:2")))
	_, err := agreement.Next(o)
	require.ErrorIs(t, err, agreement.ErrRefused)
	assert.ErrorContains(t, err, "not with which key it writes configmaps", "neither may read what the other writes")
}

// Whatever a kube-apiserver before 1.34 has loaded of its history: the agreed file reads all of it, and what the others write it may
// write too, once it reads it.
func TestBefore134AFileThatIsLostAfterARotationIsGivenBack(t *testing.T) {
	t.Parallel()
	history := []string{"secrets:1,-", "secrets:1,2,-", "secrets:2,1,-"}
	lost := older(node("n3", "missing", history...))
	assert.Equal(t, []string{"agree n3=secrets:2,1,-", "await", "done"}, way(t, observed(lost)), "the only node")
	assert.Equal(t, []string{"agree n3=secrets:2,1,-", "await", "done"},
		way(t, observed(proven(older(node("n1", "secrets:2,1,-", history...))), proven(older(node("n2", "secrets:2,1,-", history...))), lost)), "one of three")
}

func TestBefore134EachFileIsProvenBeforeTheNext(t *testing.T) {
	t.Parallel()
	at := func(name, file string) agreement.Node {
		return proven(older(node(name, file, "secrets:1,-", "secrets:2,1,-", file)))
	}
	assert.Equal(t, []string{
		"unite n1=secrets:1,9,2,- n3=secrets:2,9,1,-", "await",
		"agree n1=secrets:9,2,1,- n3=secrets:9,2,1,-", "await", "done",
	}, way(t, observed(at("n1", "secrets:1,-"), at("n2", "secrets:9,2,1,-"), at("n3", "secrets:2,1,-"))))
}

// proven is a kube-apiserver that has loaded the file of its node.
func proven(n agreement.Node) agreement.Node {
	n.Proven = true
	return n
}

func TestBefore134AKMSThatMayBeLoadedIsRefused(t *testing.T) {
	t.Parallel()
	n := older(node("n1", "secrets:1,-", "secrets:kms,1,-", "secrets:1,2,-"))
	_, err := agreement.Next(observed(n))
	require.ErrorIs(t, err, agreement.ErrRefused)
}

func TestNobodyIsToldToRestartAKubeAPIServerWithoutAFile(t *testing.T) {
	t.Parallel()
	for file, first := range map[string]string{"missing": "do not restart", "secrets:4,-": "restart"} {
		_, err := agreement.Next(observed(older(node("n1", file, "secrets:2,-", "secrets:1,-")), older(node("n2", "secrets:3,-", "secrets:5,-"))))
		var refusal *agreement.Refusal
		require.ErrorAs(t, err, &refusal)
		assert.Equal(t, first, refusal.Hints[0][:len(first)])
	}
}

// older is a kube-apiserver that does not tell what it has loaded.
func older(n agreement.Node) agreement.Node {
	n.TellsLoaded, n.Loaded = false, ""
	return n
}

func TestBefore134ADamagedFileThatWasNotLoadedIsReplaced(t *testing.T) {
	t.Parallel()
	n := older(node("n1", "garbage", "secrets:1,-"))
	n.Rejected = true
	assert.Equal(t, []string{"agree n1=secrets:1,-", "await", "done"}, way(t, observed(n)))
}

func TestANodeThatCantBeSeenBlocksAWriteKey(t *testing.T) {
	t.Parallel()
	o := observed(node("n1", "secrets:2,1,-"), node("n2", "secrets:2,1,9,-"))
	o.Silent = []string{"n3"}
	assert.Equal(t, []string{"agree n1=secrets:2,1,9,-", "await", "done"}, way(t, o), "no write key changes")

	o = observed(node("n1", "secrets:1,-"), node("n2", "secrets:2,1,-"))
	o.Silent = []string{"n3"}
	assert.Equal(t, []string{"unite n1=secrets:1,2,-", "await", "done"}, way(t, o), "as far as it goes")
	differences, agreed, err := agreement.Differences(o)
	require.NoError(t, err)
	assert.Nil(t, agreed, "they do not come to one write key")
	assert.Equal(t, []encconfig.Key{gcm("2")}, differences[0].Lacks)
	assert.Empty(t, differences[0].Writes)
	o = o.After(agreement.Step{Kind: agreement.Unite, Targets: []agreement.Target{{Node: "n1", Want: conf("secrets:1,2,-")}}})
	_, err = agreement.Next(o.After(agreement.Step{Kind: agreement.Await}))
	require.ErrorIs(t, err, agreement.ErrRefused)
	assert.ErrorContains(t, err, "n3 can't be seen")
}

func TestStepsSayWhoHasWhat(t *testing.T) {
	t.Parallel()
	o := observed(node("n1", "secrets:2,1,-"), node("n2", "secrets:2,1,-"), node("n3", "secrets:2,9,-", "secrets:2,9,-", "secrets:8,-", "secrets:1b,-"))
	step, err := agreement.Next(o)
	require.NoError(t, err)
	assert.Equal(t, "n1", step.Base)
	assert.Equal(t, conf("secrets:2,1,-").Digest, step.BaseDigest)
	assert.False(t, step.FromHistory)
	assert.Equal(t, []agreement.Held{{Key: gcm("9"), Node: "n3"}, {Key: gcm("8"), Node: "n3", History: true}}, step.Keys)
	assert.Equal(t, []agreement.Held{{Key: keyOf("1b"), Node: "n3", History: true}}, step.LeftOut)
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	o := observed(node("n1", "secrets:2,1,-"), node("n2", "secrets:2,1,-"), node("n3", "secrets:1,-"), node("n4", "garbage", "secrets:2,1,-"))
	differences, agreed, err := agreement.Differences(o)
	require.NoError(t, err)
	assert.Equal(t, "secrets:2,1,-", said(*agreed))
	assert.True(t, differences[0].None() && differences[1].None())
	assert.Equal(t, agreement.Difference{
		Node: "n3", Digest: "sha256:secrets:1,-", Lacks: []encconfig.Key{gcm("2")}, Writes: []encconfig.Key{gcm("1")},
	}, differences[2])
	assert.Equal(t, agreement.Difference{
		Node: "n4", Digest: "sha256:garbage", Unusable: "it is not understood", Loaded: "sha256:secrets:2,1,-",
	}, differences[3])
	assert.False(t, differences[3].None())
}

func ExamplePreview() {
	o := observed(node("n1", "secrets:1,-"), node("n2", "secrets:2,1,-"))
	steps, _ := agreement.Preview(o)
	for _, s := range steps {
		fmt.Println(s.Kind)
	}
	// Output:
	// unite
	// await
	// agree
	// await
	// done
}
