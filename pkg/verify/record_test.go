// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

func TestRecordHasNumbersAndKeysAndNoObject(t *testing.T) {
	t.Parallel()
	damaged := stored.Mark{Form: stored.Undecodable, Damaged: true}
	r := live(encrypted, nil, []string{"secrets", "configmaps"},
		judged(encrypted, "secrets", some{5, with(encconfig.AESGCM, "2")}, some{2, with(encconfig.AESGCM, "1")}, some{1, plaintext}, some{1, damaged}),
		judged(encrypted, "configmaps", some{3, with(encconfig.KMS, "vault")}, some{4, plaintext}, some{1, with(encconfig.AESGCM, "9")}))
	r.Decrypted = true
	v := Record(r, "ann@laptop")
	assert.Equal(t, ledger.Found, v.Outcome)
	assert.Equal(t, encrypted.Digest, v.Digest)
	assert.Equal(t, []encconfig.Key{key2, key1, vault}, v.Keys, "keys of the configuration, with their fingerprints; the others can't be pruned")
	assert.Equal(t, []ledger.StoredResource{
		{Name: "configmaps", WriteKey: vault, Objects: 8, Unreadable: 5}, {Name: "secrets", WriteKey: key2, Objects: 9, Stale: 2, Plaintext: 1, Unreadable: 1},
	}, v.Resources, "plaintext that the configuration does not read can't be stored again")
	assert.Equal(t, []any{int64(17), int64(9), int64(4711), true, "ann@laptop", r.Source.Time}, []any{v.Objects, v.Off, v.Revision, v.Decrypted, v.By, v.Time})
	assert.NotContains(t, fmt.Sprintf("%+v", v), "ns/", "no object is named")
}

func TestRecordOfWhatIsNotToldApartHasEveryKey(t *testing.T) {
	t.Parallel()
	r := live(encrypted, nil, []string{"secrets"}, census.Tally{
		Resource: "secrets", WriteKey: key2, Objects: 3, Groups: []census.Group{{State: census.Missing, Others: true, Objects: 3}},
	})
	assert.Equal(t, encrypted.Keys(), Record(r, "").Keys)
}

func TestRecordIsBounded(t *testing.T) {
	t.Parallel()
	var tallies []census.Tally
	for i := range 3 * recorded {
		marks := []some{{1, plaintext}}
		if i == 250 {
			marks = []some{{1, with(encconfig.AESGCM, "1")}}
		}
		tallies = append(tallies, judged(encconfig.Description{}, fmt.Sprintf("r%03d.example.com", i), marks...))
	}
	v := Record(live(encrypted, nil, []string{"*.*"}, tallies...), "")
	require.Len(t, v.Resources, recorded)
	assert.Equal(t, "r250.example.com", v.Resources[0].Name, "what is not as it should be comes first")
	assert.Equal(t, int64(3*recorded), v.Objects)
}
