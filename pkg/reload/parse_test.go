// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package reload_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/reload"
)

// The samples are what kube-apiservers of these versions answered: after their start, after a new write key was
// loaded, and after the file was broken.
const (
	idHash      = "sha256:1870945479dcc1d17d04907abcffb673a14a47d65c1244d3243913bd37476a8c"
	startedHash = "sha256:65544ec40049aa50e2b830ae4a9d8fb06a80f5e822964f0b3e3e3515734ce0fe"
	laterHash   = "sha256:9c7dcdedbd8de24606e5875897613e4ddeb3e3b4ceaf4c4ad4a6bbc7a9721e3e"
)

func sample(t *testing.T, name string) reload.Evidence {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".txt"))
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	e, err := reload.Parse(f)
	require.NoError(t, err)
	return e
}

func TestParseReadsWhatRealServersAnswer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		sample, version, idHash, hash string
		tellsHash, reloaded, failed   bool
	}{
		{sample: "v1.37.1-unencrypted", version: "v1.37.1", tellsHash: true},
		{sample: "v1.37.1-started", version: "v1.37.1", tellsHash: true, idHash: idHash, hash: startedHash},
		{sample: "v1.37.1-reloaded", version: "v1.37.1", tellsHash: true, idHash: idHash, hash: laterHash, reloaded: true},
		{sample: "v1.37.1-failed", version: "v1.37.1", tellsHash: true, idHash: idHash, hash: laterHash, reloaded: true, failed: true},
		{sample: "v1.33.13-started", version: "v1.33.13"},
		{sample: "v1.33.13-reloaded", version: "v1.33.13", idHash: idHash, reloaded: true},
		{sample: "v1.33.13-failed", version: "v1.33.13", idHash: idHash, reloaded: true, failed: true},
	}
	for _, tt := range tests {
		t.Run(tt.sample, func(t *testing.T) {
			t.Parallel()
			e := sample(t, tt.sample)
			assert.Equal(t, tt.version, e.Version)
			assert.Equal(t, tt.tellsHash, e.TellsHash)
			assert.Equal(t, tt.idHash, e.IDHash)
			assert.Equal(t, tt.hash, e.Hash)
			assert.False(t, e.Started.IsZero())
			assert.Equal(t, tt.reloaded, e.LastSuccess.After(e.Started))
			assert.Equal(t, tt.failed, e.LastFailure.After(e.LastSuccess))
		})
	}
}

func TestParseCountsWritesAndReadsByKey(t *testing.T) {
	t.Parallel()
	e := sample(t, "v1.37.1-failed")
	assert.Equal(t, map[string]map[reload.KeyPrefix]float64{
		"secrets": {"1:": 3, "2:": 1, "k8s:enc:aesgcm:v1:": 4},
	}, e.Writes)
	assert.Equal(t, map[string]map[reload.KeyPrefix]float64{
		"configmaps": {"1:": 6, "k8s:enc:aesgcm:v1:": 6},
		"secrets":    {"1:": 3, "2:": 1, "k8s:enc:aesgcm:v1:": 4},
	}, e.Reads)
}

func TestParseLeavesOutWhatProvesNothing(t *testing.T) {
	t.Parallel()
	const series = `apiserver_storage_transformation_operations_total{resource="secrets",status="Unknown",transformation_type="to_storage",transformer_prefix="1:"} 7
apiserver_storage_transformation_operations_total{resource="",status="OK",transformation_type="to_storage",transformer_prefix="1:"} 7
apiserver_storage_transformation_operations_total{resource="secrets",status="OK",transformation_type="to_storage",transformer_prefix="2:"} 0
apiserver_encryption_config_controller_last_config_info{apiserver_id_hash="sha256:a",hash="sha256:old"} 0
`
	e, err := reload.Parse(strings.NewReader(series))
	require.NoError(t, err)
	assert.Empty(t, e.Writes)
	assert.Empty(t, e.Hash, "a hash whose gauge is 0 is not the loaded one")
	assert.False(t, e.TellsHash)
}

func TestParseRefusesWhatIsNoMetrics(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"<html>login</html>", "a{b=", "a 1 2 3 4"} {
		_, err := reload.Parse(strings.NewReader(text))
		assert.ErrorContains(t, err, "parse metrics", text)
	}
}

func TestParseKnowsWhichVersionsTellTheHash(t *testing.T) {
	t.Parallel()
	for version, tells := range map[string]bool{
		"v1.33.13": false, "v1.29.0": false, "v1.34.0": true, "v1.34.0-alpha.1": true, "v1.100.1": true, "v2.0.0": true,
		"v1.33.13+vendor.1": false, "v1.34.4-eks-1234": true, "": false, "unknown": false, "v1": false,
	} {
		e, err := reload.Parse(strings.NewReader(`kubernetes_build_info{git_version="` + version + `"} 1` + "\n"))
		require.NoError(t, err)
		assert.Equal(t, tells, e.TellsHash, version)
	}
}

func TestParseTakesTheHashForAnAnswerOfAnyVersion(t *testing.T) {
	t.Parallel()
	e, err := reload.Parse(strings.NewReader(`apiserver_encryption_config_controller_last_config_info{hash="sha256:x"} 1` + "\n"))
	require.NoError(t, err)
	assert.True(t, e.TellsHash, "a server whose version is not known but that tells the hash tells it")
}

func TestParseKeepsFractionsOfSeconds(t *testing.T) {
	t.Parallel()
	e := sample(t, "v1.37.1-failed")
	assert.WithinDuration(t, time.UnixMilli(1795226863594), e.LastFailure, 2*time.Millisecond)
}

func TestAPrefixNamesAProviderOrAKey(t *testing.T) {
	t.Parallel()
	tests := map[reload.KeyPrefix][2]string{
		"k8s:enc:aesgcm:v1:":       {"aesgcm", ""},
		"k8s:enc:kms:v2:name:":     {"kms", ""},
		"k8s:enc:secretbox:v1:12:": {"secretbox", ""},
		"1:":                       {"", "1"},
		"key-2020-01:":             {"", "key-2020-01"},
		"":                         {"", ""},
	}
	for prefix, want := range tests {
		assert.Equal(t, want, [2]string{prefix.Provider(), prefix.Key()}, string(prefix))
	}
}
