// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

func TestUnusable(t *testing.T) {
	t.Parallel()
	commented, err := os.ReadFile(filepath.Join("testdata", "commented.yaml"))
	require.NoError(t, err)
	whole := string(commented)
	tests := map[string]struct {
		data string
		want bool
	}{
		"nothing":                             {"", true},
		"blanks and a comment":                {"\n \n# none\n", true},
		"zeros, as a power cut leaves them":   {strings.Repeat("\x00", 100), true},
		"something else":                      {"hello", true},
		"not YAML":                            {"a: [b", true},
		"no resources":                        {header, true},
		"no providers":                        {header + "resources:\n- resources: [secrets]\n", true},
		"a provider without its keys":         {ruled("aesgcm:"), true},
		"a key without a secret":              {ruled(`aesgcm: {keys: [{name: "1"}]}`), true},
		"a secret of which a part is missing": {ruled(`aesgcm: {keys: [{name: "1", secret: YWJj}]}`), true},
		"a whole file":                        {whole, false},
		"a second document":                   {whole + "---\na: 1\n", false},
		"a second document that is cut":       {whole + "---\na: [\n", false},
		"a file with an anchor":               {strings.Replace(whole, "resources:", "resources: &all", 1), false},
		"a field that is not known":           {whole + "\nmore: 1\n", false},
		"a name that looks like a number":     {filled(ruled("aesgcm: {keys: [{name: 1, secret: $A}]}")), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, encconfig.Unusable([]byte(tt.data)))
		})
	}
}

// A file that was cut anywhere is one that kube-apiserver takes, or is known not to be. Some are: a secret of 32 bytes has one of 24
// in front.
func TestUnusable_isWhateverIsCut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := drawSample(t).text
		cut := []byte(text[:rapid.IntRange(0, len(text)).Draw(t, "cut at")])
		_, refused := upstream(cut)
		assert.Equal(t, refused != nil, encconfig.Unusable(cut), "%v\n%s", refused, cut)
	})
}

// What kube-apiserver takes is never called unusable, however it was written.
func FuzzUnusable(f *testing.F) {
	commented, err := os.ReadFile(filepath.Join("testdata", "commented.yaml"))
	require.NoError(f, err)
	f.Add(commented)
	f.Add([]byte(ruled(oneKey, "identity: {}") + "---\nx: [\n"))
	f.Add([]byte(ruled("identity: &i {}", "aescbc: &k {keys: [{name: '1', secret: !!str YWJjZGVmZ2hpamtsbW5vcA==}]}")))
	f.Add([]byte(ruled("kms: {name: old, endpoint: 'UNIX:///run/k.sock', cachesize: 100, timeout: 5s}")))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := upstream(data); err == nil {
			require.False(t, encconfig.Unusable(data), "%s", data)
		}
	})
}
