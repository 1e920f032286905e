// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig_test

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
)

// header is what every configuration begins with.
const header = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n"

// encoded is a key of size bytes that are all fill, as it stands in a file.
func encoded(fill byte, size int) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, size))
}

// filled puts keys in the places of the words $A, $B, $C (32 bytes), $16, $24 and $15.
func filled(text string) string {
	return strings.NewReplacer(
		"$A", encoded('A', 32), "$B", encoded('B', 32), "$C", encoded('C', 32),
		"$16", encoded('D', 16), "$24", encoded('E', 24), "$15", encoded('F', 15),
	).Replace(text)
}

// ruled is a configuration of one rule for secrets with these providers, each a line of YAML in flow style.
func ruled(providers ...string) string {
	return listed("[secrets]", providers...)
}

// listed is a configuration of one rule for a list of resources in flow style.
func listed(resources string, providers ...string) string {
	return filled(header + "resources:\n" + entry(resources, providers...))
}

// entry is one rule in YAML.
func entry(resources string, providers ...string) string {
	return "- resources: " + resources + "\n  providers:\n  - " + strings.Join(providers, "\n  - ") + "\n"
}

// oneKey is a provider with the key 1 that takes 32 bytes.
const oneKey = "aesgcm: {keys: [{name: '1', secret: $A}]}"

// testingT is what a test, a fuzz target and a property have in common.
type testingT interface {
	require.TestingT
	Helper()
}

func parsed(t testingT, data string) *encconfig.Document {
	t.Helper()
	doc, err := encconfig.Parse([]byte(data))
	require.NoError(t, err, data)
	return doc
}

func secretOf(fill byte) keys.Secret { return keys.New(bytes.Repeat([]byte{fill}, keys.Size)) }

func key(p encconfig.Provider, name string) encconfig.Key {
	return encconfig.Key{Provider: p, Name: name}
}

// words are the rules of a description, as "secrets,configmaps: aesgcm/2 aesgcm/1 identity".
func words(d encconfig.Description) []string {
	var list []string
	for _, r := range d.Rules {
		line := strings.Join(r.Resources, ",") + ":"
		for _, k := range r.Keys {
			line += " " + k.String()
		}
		list = append(list, line)
	}
	return list
}
