// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// place is how an error says where it is: a line, an entry of resources, or the file as a whole.
var place = regexp.MustCompile(`^(line \d+: |entry \d+: |the configuration )`)

// Whatever the bytes: no panic, an error that says where, and what is taken kube-apiserver takes as well and
// reads in the same way, before and after a change.
func FuzzParse(f *testing.F) {
	commented, err := os.ReadFile(filepath.Join("testdata", "commented.yaml"))
	require.NoError(f, err)
	f.Add(commented)
	f.Add([]byte(ruled(oneKey, "identity: {}")))
	f.Add([]byte(ruled(kmsV2("vault"), oneKey)))
	f.Add([]byte(ruled("kms: {name: old, endpoint: 'unix:///run/k.sock', cachesize: 100, timeout: 5s}")))
	f.Add([]byte(listed("['*.', '*.apps', pandas.awesome.example]", oneKey)))
	f.Add([]byte(filled(`{"kind":"EncryptionConfiguration","apiVersion":"apiserver.config.k8s.io/v1",` +
		`"resources":[{"resources":["secrets"],"providers":[{"secretbox":{"keys":[{"name":"key1","secret":"$A"}]}}]}]}`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := encconfig.Parse(data)
		if err != nil {
			require.Regexp(t, place, err.Error())
			return
		}
		requireUpstreamAgrees(t, doc)
		fresh := encconfig.Change{Kind: encconfig.AddReadKey, Keys: []encconfig.Key{key(encconfig.AESGCM, "fresh-4711")}}
		next, err := doc.Apply(fresh, secretOf('Z'))
		if err != nil {
			require.ErrorIs(t, err, encconfig.ErrRefused)
			return
		}
		requireUpstreamAgrees(t, next)
	})
}
