// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package encconfig_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

func TestParse_takes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in   string
		want []string
	}{
		"one key in block style": {
			in: filled(header + `resources:
  - resources:
      - secrets
    providers:
      - aesgcm:
          keys:
            - name: "1"
              secret: $A
      - identity: {}
`),
			want: []string{"secrets: aesgcm/1 identity"},
		},
		"a file that was written as JSON": {
			in: filled(`{"kind":"EncryptionConfiguration","apiVersion":"apiserver.config.k8s.io/v1",
"resources":[{"resources":["secrets","configmaps"],"providers":[{"secretbox":{"keys":[{"name":"key1","secret":"$A"}]}},{"identity":{}}]}]}`),
			want: []string{"secrets,configmaps: secretbox/key1 identity"},
		},
		"every local provider with every size of key": {
			in: ruled(
				"aesgcm: {keys: [{name: a, secret: $16}, {name: b, secret: $24}, {name: c, secret: $A}]}",
				"aescbc: {keys: [{name: a, secret: $16}, {name: b, secret: $24}, {name: c, secret: $A}]}",
				"secretbox: {keys: [{name: a, secret: $A}]}",
			),
			want: []string{"secrets: aesgcm/a aesgcm/b aesgcm/c aescbc/a aescbc/b aescbc/c secretbox/a"},
		},
		"the same provider in two entries, tried in the order of the file": {
			in: ruled(
				"aesgcm: {keys: [{name: '2', secret: $B}]}", "identity: {}",
				"aesgcm: {keys: [{name: '1', secret: $A}]}",
			),
			want: []string{"secrets: aesgcm/2 identity aesgcm/1"},
		},
		"identity first, which stores plaintext":        {in: ruled("identity: {}", oneKey), want: []string{"secrets: identity aesgcm/1"}},
		"identity as an empty mapping in block style":   {in: ruled("identity:\n      {}"), want: []string{"secrets: identity"}},
		"a KMS v2 plugin in front of a key":             {in: ruled(kmsV2("vault"), oneKey), want: []string{"secrets: kms/vault aesgcm/1"}},
		"a KMS v1 plugin with a cache":                  {in: ruled("kms: {name: old, endpoint: 'unix:///run/k.sock', cachesize: 100, timeout: 5s}"), want: []string{"secrets: kms/old"}},
		"one key in two rules":                          {in: ruled(oneKey) + filled(entry("[configmaps]", oneKey)), want: []string{"secrets: aesgcm/1", "configmaps: aesgcm/1"}},
		"a resource before the wildcard that covers it": {in: ruled("identity: {}") + filled(entry("['*.*']", oneKey)), want: []string{"secrets: identity", "*.*: aesgcm/1"}},
		"wildcards of different groups":                 {in: listed("['*.', '*.apps', pandas.awesome.example]", oneKey), want: []string{"*.,*.apps,pandas.awesome.example: aesgcm/1"}},
		"a document marker, comments and Windows line ends": {
			in:   strings.ReplaceAll("# head\n---\n"+ruled(oneKey)+"# foot\n", "\n", "\r\n"),
			want: []string{"secrets: aesgcm/1"},
		},
		"a secret that is folded over two lines": {
			in:   ruled("aesgcm: {keys: [{name: '1', secret: \"" + encoded('A', 32)[:20] + "\\\n    " + encoded('A', 32)[20:] + "\"}]}"),
			want: []string{"secrets: aesgcm/1"},
		},
		"a name of 63 characters": {
			in:   ruled("aesgcm: {keys: [{name: " + strings.Repeat("n", 63) + ", secret: $A}]}"),
			want: []string{"secrets: aesgcm/" + strings.Repeat("n", 63)},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc := parsed(t, test.in)
			assert.Equal(t, test.want, words(doc.Describe()))
			assert.Equal(t, test.in, string(doc.Bytes()), "bytes are kept as they are")
			requireUpstreamAgrees(t, doc)
		})
	}
}

func kmsV2(name string) string {
	return "kms: {apiVersion: v2, name: " + name + ", endpoint: 'unix:///run/kms.sock', timeout: 3s}"
}

func TestParse_refuses(t *testing.T) {
	t.Parallel()
	const plainString = "must be a plain string"
	tests := map[string]struct{ in, want string }{
		// The file as a whole.
		"an empty file":                     {"", "not one YAML document"},
		"a file of comments":                {"# nothing\n", "not one YAML document"},
		"an empty document":                 {"---\n", "line 2: configuration must be a plain mapping"},
		"a list":                            {"- a\n", "line 1: configuration must be a plain mapping"},
		"broken YAML":                       {header + "resources: [\n", "not one YAML document: see line"},
		"a second document":                 {ruled(oneKey) + "---\nkind: Other\n", "more than one YAML document"},
		"a second document that is broken":  {ruled(oneKey) + "---\n]\n", "more than one YAML document"},
		"a file that is too large":          {ruled(oneKey) + strings.Repeat("# filler\n", 1<<17), "at most 1048576 are read"},
		"bytes that are not UTF-8":          {ruled(oneKey) + "# \xff\n", "not UTF-8"},
		"the legacy kind EncryptionConfig":  {"apiVersion: v1\nkind: EncryptionConfig\nresources: []\n", "line 1: is not a apiserver.config.k8s.io/v1 EncryptionConfiguration"},
		"another kind":                      {"apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nresources: []\n", "line 1: is not a"},
		"an older version of the API":       {"apiVersion: apiserver.config.k8s.io/v1beta1\nkind: EncryptionConfiguration\nresources: []\n", "line 1: is not a"},
		"a missing kind":                    {"apiVersion: apiserver.config.k8s.io/v1\nresources: []\n", "the field kind is missing"},
		"missing resources":                 {header, "the field resources is missing"},
		"no rule":                           {header + "resources: []\n", "line 3: resources is empty"},
		"an unknown field at the top":       {ruled(oneKey) + "metadata: {}\n", "configuration has an unknown field"},
		"a field twice at the top":          {header + "kind: EncryptionConfiguration\n", "line 3: configuration has the field kind twice"},
		"a field in other capitals":         {strings.Replace(ruled(oneKey), "kind:", "Kind:", 1), "line 2: configuration has an unknown field"},
		"a merge key":                       {ruled(oneKey) + "<<: {}\n", "unknown field"},
		"an explicit key that is a mapping": {header + "? {a: b}\n: c\n", "unknown field"},

		// A rule.
		"a rule that is text":                          {header + "resources: [secrets]\n", "line 3: entry of resources must be a plain mapping"},
		"an unknown field in a rule":                   {listed("[secrets]\n  comment: x", oneKey), "line 5: entry of resources has an unknown field"},
		"a rule without resources":                     {header + "resources:\n- providers: [{identity: {}}]\n", "line 4: the field resources is missing"},
		"a rule with an empty list":                    {listed("[]", oneKey), "line 4: resources is empty"},
		"a rule without providers":                     {header + "resources:\n- resources: [secrets]\n", "line 4: the field providers is missing"},
		"no provider":                                  {header + "resources:\n- resources: [secrets]\n  providers: []\n", "line 5: providers is empty"},
		"resources as text":                            {listed("secrets", oneKey), "line 4: resources must be a plain list"},
		"a resource that is a number":                  {listed("[1]", oneKey), plainString},
		"a resource that is empty":                     {listed("['']", oneKey), "line 4: resources is empty"},
		"a resource that is null":                      {listed("[secrets, ~]", oneKey), plainString},
		"a resource that is a boolean":                 {listed("[true]", oneKey), plainString},
		"a resource that YAML 1.1 takes for a boolean": {listed("[on]", oneKey), plainString},

		// Which resources.
		"a lone star":                            {listed("['*']", oneKey), `"*"`},
		"capital letters":                        {listed("[Secrets]", oneKey), "a resource is not written as the name of a resource"},
		"a path":                                 {listed("[apps/deployments]", oneKey), "a resource is not written as the name of a resource"},
		"a resource twice in a list":             {listed("[secrets, secrets]", oneKey), "is listed twice"},
		"a resource in two rules":                {ruled(oneKey) + filled(entry("[secrets]", oneKey)), "is listed twice"},
		"a resource after *.*":                   {listed("['*.*']", oneKey) + filled(entry("[secrets]", oneKey)), "is masked by"},
		"a wildcard after *.*":                   {listed("['*.*']", oneKey) + filled(entry("['*.apps']", oneKey)), "is masked by"},
		"a resource after its group":             {listed("['*.apps']", oneKey) + filled(entry("[deployments.apps]", oneKey)), "is masked by"},
		"a core resource after the core group":   {listed("['*.']", oneKey) + filled(entry("[secrets]", oneKey)), "is masked by"},
		"a resource before its group in a list":  {listed("[secrets, '*.']", oneKey), "is masked by"},
		"a resource before *.* in the same list": {listed("[secrets, '*.*']", oneKey), "is masked by"},
		"a group before *.* in the same list":    {listed("['*.apps', '*.*']", oneKey), "is masked by"},
		"one resource across groups":             {listed("['secrets.*']", oneKey), "a resource is not written as the name of a resource"},
		"events by their newer group":            {listed("[events.events.k8s.io]", oneKey), "a resource is not written as the name of a resource"},
		"the removed group extensions":           {listed("[ingresses.extensions]", oneKey), "a resource is not written as the name of a resource"},
		"what has no REST API":                   {listed("[serviceipallocations]", oneKey), "a resource is not written as the name of a resource"},

		// A provider.
		"an unknown provider":              {ruled("rot13: {keys: [{name: a, secret: $A}]}"), "line 6: provider has an unknown field"},
		"two providers in one element":     {ruled("aesgcm: {keys: [{name: a, secret: $A}]}\n    identity: {}"), "line 6: a provider entry must hold exactly one provider, this one holds 2"},
		"no provider in an element":        {ruled("{}"), "line 6: a provider entry must hold exactly one provider, this one holds 0"},
		"a provider that is null":          {ruled("aesgcm:"), "aesgcm must be a plain mapping"},
		"identity that is null":            {ruled("identity:"), "identity must be a plain mapping"},
		"identity with a field":            {ruled("identity: {keys: []}"), "identity has an unknown field"},
		"a provider without keys":          {ruled("aesgcm: {}"), "line 6: the field keys is missing"},
		"an empty list of keys":            {ruled("aesgcm: {keys: []}"), "line 6: keys is empty"},
		"the same provider field twice":    {ruled("identity: {}\n    identity: {}"), "provider has the field identity twice"},
		"identity twice":                   {ruled("identity: {}", oneKey, "identity: {}"), "identity is listed twice"},
		"a KMS plugin without a name":      {ruled("kms: {apiVersion: v2, endpoint: 'unix:///a'}"), "line 6: the field name is missing"},
		"a KMS plugin with unknown fields": {ruled("kms: {apiVersion: v2, name: a, endpoint: 'unix:///a', url: x}"), "line 6: kms has an unknown field"},
		"one KMS plugin twice in a rule":   {ruled(kmsV2("a"), kmsV2("a")), "kms/a is listed twice"},
		"one KMS plugin in two rules":      {ruled(kmsV2("a")) + entry("[configmaps]", kmsV2("a")), "kms/a is listed twice"},
		"a KMS plugin without an endpoint": {ruled("kms: {apiVersion: v2, name: a}"), "the field endpoint is missing"},
		"a KMS plugin at a web address":    {ruled("kms: {apiVersion: v2, name: a, endpoint: 'https://a'}"), "endpoint"},
		"a KMS plugin of an odd version":   {ruled("kms: {apiVersion: v3, name: a, endpoint: 'unix:///a'}"), "apiVersion"},
		"a KMS v2 plugin with a cache":     {ruled("kms: {apiVersion: v2, name: a, endpoint: 'unix:///a', cachesize: 5}"), "cachesize"},
		"a KMS cache of nothing":           {ruled("kms: {name: a, endpoint: 'unix:///a', cachesize: 0}"), "cachesize"},
		"a KMS cache that is text":         {ruled("kms: {name: a, endpoint: 'unix:///a', cachesize: many}"), "cachesize"},
		"a KMS time limit without a unit":  {ruled("kms: {apiVersion: v2, name: a, endpoint: 'unix:///a', timeout: soon}"), "timeout"},
		"a KMS time limit of nothing":      {ruled("kms: {apiVersion: v2, name: a, endpoint: 'unix:///a', timeout: 0s}"), "timeout"},
		"a KMS v2 name with a colon":       {ruled(kmsV2("'a:b'")), "line 6: the name of kms must not contain ':'"},
		"a KMS v1 name with a colon":       {ruled("kms: {name: 'a:b', endpoint: 'unix:///a'}"), "line 6: the name of kms must not contain ':'"},
		"an anchor in a KMS entry":         {ruled("kms: {apiVersion: v2, name: a, endpoint: &e 'unix:///a'}"), "line 6: endpoint " + plainString},

		// A key.
		"a key with an unknown field":          {ruled("aesgcm: {keys: [{name: a, secret: $A, age: 1}]}"), "line 6: key has an unknown field"},
		"a key without a name":                 {ruled("aesgcm: {keys: [{secret: $A}]}"), "line 6: the field name is missing"},
		"a key without a secret":               {ruled("aesgcm: {keys: [{name: a}]}"), "line 6: the field secret is missing"},
		"a name twice in a key":                {ruled("aesgcm: {keys: [{name: a, name: b, secret: $A}]}"), "line 6: key has the field name twice"},
		"a name that is a number":              {ruled("aesgcm: {keys: [{name: 1, secret: $A}]}"), plainString},
		"a name that YAML 1.1 takes for true":  {ruled("aesgcm: {keys: [{name: yes, secret: $A}]}"), plainString},
		"a name that YAML 1.1 takes for false": {ruled("aesgcm: {keys: [{name: n, secret: $A}]}"), plainString},
		"a name that is a time":                {ruled("aesgcm: {keys: [{name: 2026-11-20, secret: $A}]}"), plainString},
		"an empty name":                        {ruled("aesgcm: {keys: [{name: '', secret: $A}]}"), "line 6: name is empty"},
		"a name with a colon":                  {ruled("aesgcm: {keys: [{name: 'a:b', secret: $A}]}"), "line 6: a key's name must be"},
		"a name with a space":                  {ruled("aesgcm: {keys: [{name: 'a b', secret: $A}]}"), "a key's name must be"},
		"a name with a line end":               {ruled(`aesgcm: {keys: [{name: "a\n", secret: $A}]}`), "a key's name must be"},
		"a name that begins with a dash":       {ruled("aesgcm: {keys: [{name: -a, secret: $A}]}"), "a key's name must be"},
		"a name of 64 characters":              {ruled("aesgcm: {keys: [{name: " + strings.Repeat("n", 64) + ", secret: $A}]}"), "a key's name must be"},
		"a secret that is not base64":          {ruled("aesgcm: {keys: [{name: a, secret: '???'}]}"), "line 6: the secret of this key is not base64"},
		"a secret of 15 bytes":                 {ruled("aesgcm: {keys: [{name: a, secret: $15}]}"), "line 6: the secret of this key has 15 bytes, aesgcm takes [16 24 32]"},
		"a secretbox key of 24 bytes":          {ruled("secretbox: {keys: [{name: a, secret: $24}]}"), "line 6: the secret of this key has 24 bytes, secretbox takes [32]"},
		"an empty secret":                      {ruled("aesgcm: {keys: [{name: a, secret: ''}]}"), "line 6: secret is empty"},
		"one name twice in a provider":         {ruled("aesgcm: {keys: [{name: a, secret: $A}, {name: a, secret: $B}]}"), "aesgcm/a is listed twice"},
		"one name for two keys in two rules":   {ruled(oneKey) + filled(entry("[configmaps]", strings.ReplaceAll(oneKey, "$A", "$B"))), "the name aesgcm/1 stands for two different keys"},

		// What makes a file say something else than it seems to say.
		"an anchor on a list":     {listed("&r [secrets]", oneKey), "line 4: resources must be a plain list"},
		"an anchor on a mapping":  {ruled("aesgcm: &p {keys: [{name: a, secret: $A}]}"), "line 6: aesgcm must be a plain mapping"},
		"an anchor on a string":   {ruled("aesgcm: {keys: [{name: &n a, secret: $A}]}"), plainString},
		"an alias for a provider": {ruled("aesgcm: {keys: &k [{name: a, secret: $A}]}", "aescbc: {keys: *k}"), "keys must be a plain list"},
		"a tag of its own":        {ruled("aesgcm: {keys: [{name: !odd a, secret: $A}]}"), plainString},
		"a binary secret":         {ruled("aesgcm: {keys: [{name: a, secret: !!binary $A}]}"), plainString},
		"a tag on a list":         {listed("!odd [secrets]", oneKey), "line 4: resources must be a plain list"},
		"a tag on a mapping":      {ruled("aesgcm: !odd {keys: [{name: a, secret: $A}]}"), "line 6: aesgcm must be a plain mapping"},
		"a tag on a field":        {ruled("aesgcm: {keys: [{!!binary name: a, secret: $A}]}"), "line 6: key has an unknown field"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc, err := encconfig.Parse([]byte(test.in))
			require.Error(t, err, test.in)
			assert.Nil(t, doc)
			assert.ErrorContains(t, err, test.want)
		})
	}
}
