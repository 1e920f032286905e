// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// canary is a key whose bytes look like nothing else.
const canary = "\x9f\xc3\x07canary-that-must-never-sing\xe2\x10"

// canaryInFile is how the canary stands in a file.
func canaryInFile() string { return base64.StdEncoding.EncodeToString([]byte(canary)) }

func TestParse_errors_never_quote_a_key(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"name and secret are swapped":            ruled("aesgcm: {keys: [{name: KEY, secret: key1}]}"),
		"name and secret are the same":           ruled("aesgcm: {keys: [{name: KEY, secret: KEY}]}"),
		"the secret is cut":                      ruled("aesgcm: {keys: [{name: a, secret: KE}]}", "x"),
		"the secret has a stray character":       ruled("aesgcm: {keys: [{name: a, secret: KEY?}]}"),
		"the secret is too long":                 ruled("aesgcm: {keys: [{name: a, secret: 'QUFBKEY'}]}"),
		"the secret is a field":                  ruled("aesgcm: {keys: [{name: a, KEY: secret}]}"),
		"the secret is a provider":               ruled("KEY: {keys: []}"),
		"the secret is a list of keys":           ruled("aesgcm: {keys: KEY}"),
		"the secret is a key":                    ruled("aesgcm: {keys: [KEY]}"),
		"the secret is a provider entry":         ruled("KEY"),
		"the secret is a rule":                   header + "resources: [KEY]\n",
		"the secret is a resource":               listed("[KEY]", oneKey),
		"the secret is a resource twice":         listed("[KEY, KEY]", oneKey),
		"the secret is the kind":                 "apiVersion: apiserver.config.k8s.io/v1\nkind: KEY\nresources: []\n",
		"the secret is the apiVersion":           "apiVersion: KEY\nkind: EncryptionConfiguration\nresources: []\n",
		"the secret is the document":             "KEY",
		"the secret is a field of the document":  header + "KEY: a\n",
		"the secret has a tag":                   ruled("aesgcm: {keys: [{name: a, secret: !!int 'KEY'}]}"),
		"the secret has a tag of its own":        ruled("aesgcm: {keys: [{name: a, secret: !KEY a}]}"),
		"the secret is an unknown alias":         ruled("aesgcm: {keys: [{name: a, secret: *KEY}]}"),
		"the secret is an anchor":                ruled("aesgcm: {keys: [{name: a, secret: &KEY b}]}"),
		"the secret is a directive":              "%KEY 1.1\n---\n" + ruled(oneKey),
		"the secret is a tag directive":          "%TAG !KEY! KEY\n%TAG !KEY! KEY\n---\n" + ruled(oneKey),
		"the secret is where YAML breaks":        ruled("aesgcm: {keys: [{name: a, secret: 'KEY}]}"),
		"the secret is after a broken escape":    ruled(`aesgcm: {keys: [{name: a, secret: "\qKEY"}]}`),
		"the secret is a mapping":                ruled("aesgcm: {keys: [{name: a, secret: {KEY: KEY}}]}"),
		"the secret is twice in a key":           ruled("aesgcm: {keys: [{name: a, secret: KEY, secret: KEY}]}"),
		"one name for two keys":                  ruled("aesgcm: {keys: [{name: a, secret: KEY}]}") + filled(entry("[configmaps]", "aesgcm: {keys: [{name: a, secret: $A}]}")),
		"two keys of one name":                   ruled("aesgcm: {keys: [{name: a, secret: KEY}, {name: a, secret: KEY}]}"),
		"a KMS plugin has a key":                 ruled("kms: {apiVersion: v2, name: a, endpoint: 'unix:///a', secret: KEY}"),
		"identity has a key":                     ruled("identity: {secret: KEY}"),
		"a second document has the key":          ruled(oneKey) + "---\nsecret: KEY\n",
		"a binary scalar":                        ruled("aesgcm: {keys: [{name: a, secret: !!binary KEY}]}"),
		"a timestamp":                            ruled("aesgcm: {keys: [{name: a, secret: !!timestamp KEY}]}"),
		"a float":                                ruled("aesgcm: {keys: [{name: a, secret: !!float KEY}]}"),
		"a tab before the secret":                header + "resources:\n\t- KEY\n",
		"the file is not UTF-8":                  ruled("aesgcm: {keys: [{name: a, secret: KEY}]}") + "\xff",
		"the secret is too short for the cipher": ruled("secretbox: {keys: [{name: a, secret: " + canaryInFile()[:32] + "}]}"),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := encconfig.Parse([]byte(strings.ReplaceAll(text, "KEY", canaryInFile())))
			require.Error(t, err)
			assertSilent(t, err.Error())
			assertSilent(t, fmt.Sprintf("%+v %#v", err, err))
		})
	}
}

// A file that somebody has damaged with an editor, at random.
func TestParse_errors_never_quote_a_key_of_a_damaged_file(t *testing.T) {
	t.Parallel()
	whole := strings.ReplaceAll(ruled("aesgcm:\n      keys:\n      - name: '2'\n        secret: KEY\n      - name: '1'\n        secret: $A",
		"identity: {}"), "KEY", canaryInFile())
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(whole)
		for range rapid.IntRange(1, 3).Draw(t, "edits") {
			at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
			to := rapid.IntRange(at, min(at+20, len(text))).Draw(t, "to")
			insert := rapid.SampledFrom([]string{"", " ", "\n", ":", "- ", "'", "\"", "&", "*", "!", "!!int ", "{", "]", "#", "\t", "---\n"}).Draw(t, "insert")
			text = append(bytes.Clone(text[:at]), append([]byte(insert), text[to:]...)...)
		}
		if _, err := encconfig.Parse(text); err != nil {
			assertSilent(t, err.Error())
		}
	})
}

func TestDescription_holds_no_key(t *testing.T) {
	t.Parallel()
	doc := parsed(t, strings.ReplaceAll(ruled("aesgcm: {keys: [{name: a, secret: KEY}]}"), "KEY", canaryInFile()))
	assertSilent(t, fmt.Sprintf("%v %+v %#v", doc.Describe(), doc.Describe(), doc.Describe()))
}

// assertSilent fails where the text has any eight characters in a row of the canary in any spelling.
func assertSilent(t testingT, text string) {
	t.Helper()
	for _, spelling := range []string{canaryInFile(), hex.EncodeToString([]byte(canary)), canary, fmt.Sprintf("%v", []byte(canary))} {
		for i := range len(spelling) - 8 {
			if !assert.NotContains(t, text, spelling[i:i+8]) {
				return
			}
		}
	}
}
