// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
)

// found is the exit code of a verification that found something.
const found = 2

// underLoad is a snapshot that was taken while objects were written, and what etcdctl counts at its revision.
type underLoad struct {
	file           string
	revision       int64
	old, fresh     encryptionKey
	want           map[string]tally
	all, plaintext int64
}

// A snapshot that is taken while Secrets are created, changed and deleted, some under the key before and one in plaintext, tells
// exactly what etcd held at its revision; and a configuration is told to open all of it, or which part it does not.
func TestASnapshotThatIsTakenUnderLoad(t *testing.T) {
	s := takeUnderLoad(t)
	right := slices.Clone(bare.keys)
	t.Run("with the configuration of its time", func(t *testing.T) {
		for _, flags := range [][]string{nil, {"--decrypt"}} {
			v := s.verify(t, found, right, flags...)
			assert.Equal(t, v1alpha1.Found, v.Outcome)
			s.requireCounts(t, v)
			states := statesOf(v)
			assert.Equal(t, s.plaintext, states[v1alpha1.StoredPlaintext])
			assert.Equal(t, s.of(s.fresh), states[v1alpha1.StoredCurrent])
			assert.Equal(t, s.all-s.of(s.fresh)-s.plaintext, states[v1alpha1.StoredStale], "what is under all other keys")
			assert.GreaterOrEqual(t, s.of(s.old), int64(150))
		}
	})
	t.Run("with a configuration that has other keys of the same names", func(t *testing.T) {
		wrong := slices.Clone(right)
		for i := range wrong {
			wrong[i].secret = newSecret(t)
		}
		v := s.verify(t, found, wrong, "--decrypt")
		s.requireCounts(t, v)
		states := statesOf(v)
		assert.Zero(t, states[v1alpha1.StoredCurrent]+states[v1alpha1.StoredStale], "nothing opens")
		assert.Equal(t, s.plaintext, states[v1alpha1.StoredPlaintext])
	})
	t.Run("with a configuration that lacks the keys", func(t *testing.T) {
		v := s.verify(t, found, []encryptionKey{{"aesgcm", "another", newSecret(t)}})
		s.requireCounts(t, v)
		assert.Equal(t, s.all-s.plaintext, statesOf(v)[v1alpha1.StoredMissing])
		for _, key := range v.Keys {
			require.NotNil(t, key.Held, "the configuration is all that there is")
			assert.False(t, *key.Held, key.Name)
		}
	})
	t.Run("with none", func(t *testing.T) {
		v := s.verify(t, 0, nil)
		assert.Equal(t, v1alpha1.Surveyed, v.Outcome)
		s.requireCounts(t, v)
		assert.Equal(t, s.all, statesOf(v)[v1alpha1.StoredUnjudged])
	})
}

// takeUnderLoad makes objects under one key, makes another the write key, and saves a snapshot while writers are at work.
func takeUnderLoad(t *testing.T) underLoad {
	t.Helper()
	ns := namespace(t, "snapshot")
	s := underLoad{file: filepath.Join(t.TempDir(), "etcd.db"), old: bare.rotate(t, "aesgcm"), want: map[string]tally{}}
	fill(t, secrets, ns, 150)
	fill(t, configMaps, ns, 50)
	s.fresh = bare.rotate(t, "secretbox")
	plain := newObject(secrets, ns, "of-long-ago", "as it was")
	plain.SetCreationTimestamp(metav1.Now())
	plain.SetUID("22222222-2222-3333-4444-555555555555")
	data, err := plain.MarshalJSON()
	require.NoError(t, err)
	bare.put(t, "/registry/secrets/"+ns+"/of-long-ago", string(data))
	bulk(t)

	stop := startWriters(t, "snapshot", secrets)
	before := awaitWrites(t, revisionOf(t, bare.Etcd.Endpoint))
	_, err = bare.etcdctl(t.Context(), "snapshot", "save", s.file)
	require.NoError(t, err)
	after := revisionOf(t, bare.Etcd.Endpoint)
	requireRecords(t, "snapshot", stop())

	s.revision = snapshotRevision(t, s.file)
	t.Logf("the snapshot is of revision %d; before it was saved there was %d, after it %d", s.revision, before, after)
	require.LessOrEqual(t, before, s.revision)
	require.Less(t, s.revision, after, "it was written to while the snapshot was saved")
	for _, r := range []string{"secrets", "configmaps"} {
		s.want[r] = tallyOf(t, bare.Etcd.Endpoint, "/registry/"+r+"/", s.revision)
		for key, count := range s.want[r] {
			s.all += count
			if key == "identity" {
				s.plaintext += count
			}
		}
	}
	require.Positive(t, s.plaintext)
	return s
}

// bulk makes the file of etcd large enough that saving it takes a while.
func bulk(t *testing.T) {
	t.Helper()
	const folder = "/bulk/"
	t.Cleanup(func() { bare.drop(t, folder, "--prefix") })
	for i := range 24 {
		bare.put(t, folder+string(rune('a'+i)), strings.Repeat("x", 100<<10))
	}
}

// awaitWrites returns a revision at which the writers have written much since another.
func awaitWrites(t *testing.T, since int64) int64 {
	t.Helper()
	const much = 100
	for {
		if now := revisionOf(t, bare.Etcd.Endpoint); now >= since+much {
			return now
		}
		require.NoError(t, t.Context().Err())
	}
}

// snapshotRevision is what etcdctl tells of a snapshot.
func snapshotRevision(t *testing.T, file string) int64 {
	t.Helper()
	out, err := bare.etcdctl(t.Context(), "snapshot", "status", file)
	require.NoError(t, err)
	var status struct {
		Revision int64 `json:"revision"`
	}
	require.NoError(t, json.Unmarshal(out, &status))
	require.Positive(t, status.Revision)
	return status.Revision
}

// verify has the plugin verify the snapshot by a configuration with these keys, or by none.
func (s underLoad) verify(t *testing.T, code int, keys []encryptionKey, flags ...string) (v v1alpha1.VerificationReport) {
	t.Helper()
	args := append([]string{"verify", "--snapshot", s.file, "-o", "json"}, flags...)
	if keys != nil {
		config := filepath.Join(t.TempDir(), "config.yaml")
		require.NoError(t, os.WriteFile(config, []byte(configuration(keys)), 0o600))
		args = append(args, "--config", config)
	}
	out, problems, got := plugin(t, args...)
	require.Equal(t, code, got, problems)
	for _, k := range keys {
		require.NotContains(t, out+problems, k.secret)
	}
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	assert.Equal(t, s.revision, v.Source.Revision)
	assert.Equal(t, "Fits", v.Source.Hash)
	return v
}

// requireCounts holds what is told of Secrets and ConfigMaps, by key, against etcdctl.
func (s underLoad) requireCounts(t *testing.T, v v1alpha1.VerificationReport) {
	t.Helper()
	got := map[string]tally{}
	for _, r := range v.Resources {
		if s.want[r.Name] == nil {
			continue
		}
		assert.True(t, r.Complete)
		got[r.Name] = tally{}
		for _, g := range r.Groups {
			key := g.Provider
			if g.Key != "" {
				key += "/" + g.Key
			}
			got[r.Name][key] += g.Objects
		}
	}
	require.Equal(t, s.want, got)
}

// of is how many values are under a key.
func (s underLoad) of(k encryptionKey) (objects int64) {
	for _, r := range s.want {
		objects += r[k.provider+"/"+k.name]
	}
	return objects
}

// statesOf is how many Secrets and ConfigMaps are told to be in which state.
func statesOf(v v1alpha1.VerificationReport) map[string]int64 {
	states := map[string]int64{}
	for _, r := range v.Resources {
		for _, g := range r.Groups {
			if r.Name == "secrets" || r.Name == "configmaps" {
				states[g.State] += g.Objects
			}
		}
	}
	return states
}
