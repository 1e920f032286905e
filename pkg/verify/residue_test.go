// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/etcdkey"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/residue"
)

func member(node string) controlplane.Member {
	return controlplane.Member{
		Node: node, Pod: "etcd-" + node, URL: "https://10.0.0." + node[1:] + ":2379",
		CA: "/etc/kubernetes/pki/etcd/ca.crt", Cert: "/etc/kubernetes/pki/etcd/server.crt", Key: "/etc/kubernetes/pki/etcd/server.key",
	}
}

func copiesIn(place residue.Place, values ...some) residue.Count {
	return residue.Count{Place: place, Tally: judged(encrypted, "secrets", values...)}
}

// withResidue are results of verifications that searched files as well.
func withResidue() map[string]Result {
	fresh, old, plain := some{5, with(encconfig.AESGCM, "2")}, some{3, with(encconfig.AESGCM, "1")}, some{2, plaintext}
	well := live(encrypted, nil, []string{"secrets", "configmaps"}, judged(encrypted, "secrets", fresh))
	searched := func(r Result, members ...MemberResidue) Result {
		r.Residue = &Residue{Compaction: 5 * time.Minute, Members: members}
		return r
	}
	on := func(node string, counts ...residue.Count) MemberResidue {
		return MemberResidue{Member: member(node), Counts: counts, Compacted: 4000, Read: 144_000_000}
	}
	half := live(encrypted, nil, []string{"secrets", "configmaps"}, judged(encrypted, "secrets", fresh, old))
	unsure := on("n1", copiesIn(residue.Freed, old))
	unsure.Note = "superseded revisions and free pages were told apart by revision alone"
	never := searched(well, on("n1", copiesIn(residue.Superseded, old)))
	never.Residue.Compaction = 0
	moved := searched(well, on("n1"))
	moved.Residue.Resources = []string{"secrets", "events"}
	moved.Residue.Doubts = []string{"events may be in another etcd (--etcd-servers-overrides), whose files were not searched"}
	external := well
	external.Residue = &Residue{Unknown: "etcd does not run as a pod"}
	silent := MemberResidue{Member: controlplane.Member{Node: "n3"}, Unknown: "the agent did not start on node n3 within 2m0s"}
	return map[string]Result{
		"residue of nothing":                searched(well, on("n1", copiesIn(residue.Logged, fresh)), on("n2")),
		"residue everywhere":                searched(well, on("n1", copiesIn(residue.Superseded, old), copiesIn(residue.Freed, fresh, old, plain), copiesIn(residue.Logged, plain)), on("n2", copiesIn(residue.Beside, plain)), on("n3")),
		"residue in the log alone":          searched(well, on("n1", copiesIn(residue.Logged, old))),
		"residue while a migration is due":  searched(half, on("n1", copiesIn(residue.Superseded, old, plain))),
		"residue that nothing compacts":     never,
		"residue that one node can't tell":  searched(well, unsure, silent),
		"no residue but one is silent":      searched(well, on("n1"), silent),
		"residue of nobody knows what":      searched(well, silent),
		"residue of an etcd somewhere else": external,
		"no residue but of another etcd":    moved,
		"residue in a backup":               searched(ofFile(encrypted, judged(encrypted, "secrets", fresh)), MemberResidue{Counts: []residue.Count{copiesIn(residue.Freed, old)}, Compacted: 7, Read: 2_000_000}),
		"no residue in a backup":            searched(ofFile(encrypted, judged(encrypted, "secrets", fresh)), MemberResidue{Compacted: 7, Read: 2_000_000}),
	}
}

func TestTheOutcomeOfASearch(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"residue of nothing": v1alpha1.Clean, "no residue in a backup": v1alpha1.Clean, "no residue but one is silent": v1alpha1.Unproven,
		"residue of nobody knows what": v1alpha1.Unproven, "residue of an etcd somewhere else": v1alpha1.Unproven,
		"no residue but of another etcd": v1alpha1.Unproven,
	}
	for name, r := range withResidue() {
		got := Assess(r, v1alpha1.Cluster{})
		outcome := v1alpha1.Found
		if w, ok := want[name]; ok {
			outcome = w
		}
		assert.Equal(t, outcome, got.Residue.Outcome, name)
		before := r
		before.Residue = nil
		assert.Equal(t, Assess(before, v1alpha1.Cluster{}).Verdict, got.Verdict, "what is stored now is told the same")
	}
}

func TestFilesOfAnotherEtcdAreNotTakenForSearched(t *testing.T) {
	t.Parallel()
	v := &visit{node: controlplane.Instance{Etcd: stacked()}, resources: []etcdkey.Resource{{Name: "secrets"}, {Name: "widgets.example.com", Grouped: true}}}
	members := []controlplane.Member{member("n1")}
	assert.Empty(t, v.elsewhere(members))

	v.node.Etcd.Overrides = []string{"/secrets#https://other:2379", "/events#https://other:2379"}
	require.Len(t, v.elsewhere(members), 1)
	assert.Contains(t, v.elsewhere(members)[0], "secrets may be in another etcd")

	v.node.Etcd.Overrides, v.node.Etcd.Servers = nil, []string{"https://192.0.2.1:2379"}
	require.Len(t, v.elsewhere(members), 1)
	assert.Contains(t, v.elsewhere(members)[0], "at addresses that its pods do not name")
	v.node.Etcd.Servers = append(v.node.Etcd.Servers, "https://10.0.0.1:2379")
	assert.Empty(t, v.elsewhere(members))
}

func TestAnEarlierKeyOfAPluginIsNotSaidToBeGone(t *testing.T) {
	t.Parallel()
	r := withResidue()["residue of nothing"]
	assert.NotContains(t, strings.Join(Assess(r, v1alpha1.Cluster{}).Residue.Limits, "; "), "KMS")
	r.Census.Tallies = []census.Tally{{Resource: "secrets", WriteKey: encconfig.Key{Provider: encconfig.KMS, Name: "p", Version: "v2"}}}
	assert.Contains(t, strings.Join(Assess(r, v1alpha1.Cluster{}).Residue.Limits, "; "), "an earlier key of the present plugin does not count as old")
}

// Which would report a failure of a member that is still at work, and have the next one be stopped as well.
func TestNoHintHasEtcdctlGiveUpAfterItsFiveSeconds(t *testing.T) {
	t.Parallel()
	for name, r := range withResidue() {
		for _, h := range Assess(r, v1alpha1.Cluster{}).Residue.Hints {
			if strings.HasPrefix(h, "kubectl ") && strings.Contains(h, " defrag") {
				assert.Contains(t, h, " defrag --command-timeout=10m", name)
			}
		}
	}
}

// written is a change of a key in a database as etcd has it.
type written struct{ key, value string }

// database writes one revision after the other, from 2 on, and then compacts up to one.
func database(t testing.TB, compacted int64, writes ...written) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true, NoSync: true})
	require.NoError(t, err)
	update := func(do func(tx *bbolt.Tx) error) { require.NoError(t, db.Update(do)) }
	update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("meta"))
		require.NoError(t, err)
		_, err = tx.CreateBucket([]byte("key"))
		return err
	})
	last := map[string]int64{}
	for i, w := range writes {
		revision := int64(i) + 2
		update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("key")).Put(at(revision), keyValue(w, revision)) })
		if revision <= compacted {
			last[w.key] = revision
		}
	}
	update(func(tx *bbolt.Tx) error {
		for i, w := range writes {
			if revision := int64(i) + 2; revision <= compacted && last[w.key] != revision {
				require.NoError(t, tx.Bucket([]byte("key")).Delete(at(revision)))
			}
		}
		return tx.Bucket([]byte("meta")).Put([]byte("finishedCompactRev"), at(compacted))
	})
	require.NoError(t, db.Close())
	return path
}

func at(revision int64) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(revision)), "_\x00\x00\x00\x00\x00\x00\x00\x00"...)
}

func keyValue(w written, revision int64) []byte {
	b := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), w.key)
	for field := protowire.Number(2); field <= 4; field++ {
		b = protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(revision))
	}
	return protowire.AppendString(protowire.AppendTag(b, 5, protowire.BytesType), w.value)
}

// searchedIn are the old copies in a file: how many in the tree, and how many in free pages.
func searchedIn(t *testing.T, file string, resources ...string) (superseded, freed int64, report *v1alpha1.VerificationReport) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(config, []byte(configuration("secrets", "new", "old")), 0o600))
	report = assessed(t, Offline{File: file, Config: config, Prefix: "/registry", Names: census.FirstNames, Residue: true, Resources: resources})
	require.Len(t, report.Residue.Members, 1)
	for _, c := range report.Residue.Members[0].Copies {
		assert.Equal(t, "secrets", c.Resource)
		switch c.Place {
		case v1alpha1.ResidueSuperseded:
			superseded += c.Copies
		case v1alpha1.ResidueFreePages:
			freed += c.Copies
		}
	}
	return superseded, freed, report
}

// Ten Secrets are written in plaintext, then under the old key, then under the new one. What is compacted decides what can still
// be read at an older revision; what is not compacted away may be in free pages besides.
func TestWhatIsLeftInAFile(t *testing.T) {
	t.Parallel()
	var writes []written
	for _, value := range []string{`{"kind":"Secret"}`, "k8s:enc:aesgcm:v1:old:" + strings.Repeat("o", 2000), "k8s:enc:aesgcm:v1:new:" + strings.Repeat("n", 2000)} {
		for i := range 10 {
			writes = append(writes, written{fmt.Sprintf("/registry/secrets/ns/%d", i), value})
		}
	}
	superseded, _, report := searchedIn(t, database(t, 1, writes...))
	assert.EqualValues(t, 20, atLeast(t, superseded, 20), "nothing is compacted, so all of it can be read")
	assert.Equal(t, v1alpha1.Clean, report.Outcome, "what is stored now is as it should be")
	assert.Equal(t, v1alpha1.Found, report.Residue.Outcome)

	superseded, freed, _ := searchedIn(t, database(t, 21, writes...))
	assert.EqualValues(t, 10, superseded, "the values under the old key were the latest when it was compacted")
	assert.Positive(t, freed)

	superseded, freed, report = searchedIn(t, database(t, 31, writes...))
	assert.Zero(t, superseded)
	assert.Positive(t, freed, "pages that nothing leads to")
	assert.Empty(t, report.Residue.Hints, "a file can't be cleared")

	superseded, freed, report = searchedIn(t, database(t, 1, writes[20:]...))
	assert.Zero(t, superseded+freed)
	assert.Equal(t, v1alpha1.Clean, report.Residue.Outcome)
	_, _, report = searchedIn(t, database(t, 1, writes...), "configmaps")
	assert.Zero(t, report.Residue.Copies, "nobody asked for them")
	assert.Equal(t, "no copy of an old value of configmaps was found in the file", report.Residue.Verdict, "and nothing is said of them")
}

// atLeast is least if n is not less: pages that were written anew leave more copies.
func atLeast(t *testing.T, n, least int64) int64 {
	t.Helper()
	assert.GreaterOrEqual(t, n, least)
	return min(n, least)
}

func TestASearchNeedsAConfiguration(t *testing.T) {
	t.Parallel()
	_, err := Offline{File: database(t, 1), Prefix: "/registry", Residue: true}.Run(t.Context())
	assert.ErrorContains(t, err, "a configuration is needed: --config")
}
