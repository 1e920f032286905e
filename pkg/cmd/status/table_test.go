// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files")

// assessed are the results of the assessment of many clusters, as its own tests have them.
const assessed = "../../status/testdata"

func load(t *testing.T, file string) *v1alpha1.EncryptionStatus {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var st v1alpha1.EncryptionStatus
	require.NoError(t, json.Unmarshal(data, &st))
	return &st
}

// The clock of synctest begins on 1 January 2000; the clusters' records are of the month before.
func TestTable(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(assessed, "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := load(t, file)
			golden(t, name+".golden", func(out *bytes.Buffer) error { return table(false)(st, out) })
		})
	}
}

func TestATimeThatThisMachineHasNotReachedIsToldAsItIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for by, want := range map[time.Duration][2]string{
			-5 * time.Minute: {"5m", "5m ago"},
			time.Second:      {"0s", "0s ago"},
			time.Hour:        {"2000-01-01T01:00:00Z", "at 2000-01-01T01:00:00Z by the cluster's clock"},
		} {
			at := time.Now().Add(by)
			assert.Equal(t, want, [2]string{age(at), ago(at)})
		}
	})
}

func TestTableWide(t *testing.T) {
	t.Parallel()
	st := load(t, filepath.Join(assessed, "all-is-well.json"))
	golden(t, "wide.golden", func(out *bytes.Buffer) error { return table(true)(st, out) })
}

func golden(t *testing.T, name string, render func(*bytes.Buffer) error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var got bytes.Buffer
		require.NoError(t, render(&got))
		path := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.WriteFile(path, got.Bytes(), 0o600))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, string(want), got.String())
	})
}

func TestTableEscapesWhatComesFromTheCluster(t *testing.T) {
	t.Parallel()
	const evil = "\x1b[2J\u202eevil"
	st := load(t, filepath.Join(assessed, "all-is-well.json"))
	st.Cluster.Context, st.Summary, st.Rotation.By = evil, evil, evil
	st.Nodes[0].Name, st.Nodes[0].Version, st.Nodes[0].Instance, st.Nodes[0].ConfigPath = evil, evil, evil, evil
	st.Nodes[0].Revision, st.Nodes[0].IDHash = evil, evil
	st.Resources[0].WriteKey, st.Resources[0].Message = evil, evil
	st.Rotation.To.Name, st.Rotation.Stage = evil, evil
	st.Problems, st.Hints = []string{evil}, []string{evil}
	st.Rotation.Command = evil
	st.Verification = &v1alpha1.VerificationStatus{Outcome: evil, By: evil, Resources: []string{evil}}
	for _, state := range []string{v1alpha1.Completed, v1alpha1.InProgress, v1alpha1.Aborted} {
		st.Rotation.State = state
		var out bytes.Buffer
		require.NoError(t, table(true)(st, &out))
		assert.NotContains(t, out.String(), "\x1b")
		assert.NotContains(t, out.String(), "\u202e")
	}
	st.ManagedBy = &v1alpha1.Manager{Name: evil}
	var out bytes.Buffer
	require.NoError(t, table(true)(st, &out))
	assert.NotContains(t, out.String(), "\x1b")
}

func TestTableIsForStatusAlone(t *testing.T) {
	t.Parallel()
	assert.ErrorContains(t, table(false)(&corev1.Pod{}, &bytes.Buffer{}), "can't print a *v1.Pod as a table")
}
