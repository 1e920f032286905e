// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files")

// assessed are what many verifications come to, as the tests of the assessment have them.
const assessed = "../../verify/testdata"

func load(t *testing.T, file string) *v1alpha1.VerificationReport {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var r v1alpha1.VerificationReport
	require.NoError(t, json.Unmarshal(data, &r))
	return &r
}

func TestTable(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(assessed, "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden(t, name+".golden", false, load(t, file))
		})
	}
	golden(t, "wide.golden", true, load(t, filepath.Join(assessed, "everything-that-can-be-wrong.json")))
}

func golden(t *testing.T, name string, wide bool, r *v1alpha1.VerificationReport) {
	t.Helper()
	var got bytes.Buffer
	require.NoError(t, table(wide)(r, &got))
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, got.Bytes(), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got.String())
}

// A report from Assess is printable already. The table does not rely on that.
func TestTheTableEscapesWhatComesFromEtcd(t *testing.T) {
	t.Parallel()
	const evil = "\x1b[2J\u202eevil\n"
	r := load(t, filepath.Join(assessed, "everything-that-can-be-wrong.json"))
	r.Verdict, r.Source.Node, r.Source.Endpoint, r.Digest = evil, evil, evil, evil
	r.Notes, r.Hints, r.UnusedKeys = []string{evil}, []string{evil}, []v1alpha1.KeyRef{{Provider: evil, Name: evil}}
	for i := range r.Resources {
		one := &r.Resources[i]
		one.Name, one.WriteKey, one.StrayNames, one.Strays = evil, &v1alpha1.KeyRef{Provider: evil, Name: evil}, []string{evil}, 1
		for j := range one.Groups {
			g := &one.Groups[j]
			g.State, g.Provider, g.Key, g.KeyID, g.Names = evil, evil, evil, evil, []string{evil}
		}
	}
	r.Residue = &v1alpha1.VerificationResidue{
		Verdict: evil, Copies: 1, Limits: []string{evil}, Hints: []string{evil}, Members: []v1alpha1.MemberResidue{
			{Node: evil, Unknown: evil, Note: evil}, {Copies: []v1alpha1.ResidualCopies{{Place: evil, Resource: evil, Provider: evil, Key: evil, ClearedBy: evil}}},
		},
	}
	var got bytes.Buffer
	require.NoError(t, table(true)(r, &got))
	assert.Contains(t, got.String(), `\x1b[2J\u202eevil\n`)
	assert.NotContains(t, got.String(), "\x1b")
	assert.NotContains(t, got.String(), "\u202e")
}

func TestATableIsOfAVerificationOnly(t *testing.T) {
	t.Parallel()
	assert.EqualError(t, table(false)(&corev1.Pod{}, io.Discard), "can't print a *v1.Pod as a table")
	var got bytes.Buffer
	require.NoError(t, table(false)(&v1alpha1.VerificationReport{Source: v1alpha1.VerificationSource{File: "f"}}, &got))
	assert.Equal(t, "\n\nsource: f, judged by nothing: no configuration was given\n", got.String())
}
