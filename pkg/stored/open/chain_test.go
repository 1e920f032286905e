// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package open_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored/open"
)

const (
	path   = "/registry/secrets/default/one"
	moved  = "/registry/secrets/default/other"
	object = `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"one"}}`
)

var (
	plain  = testKey{provider: encconfig.Identity}
	gcm1   = testKey{encconfig.AESGCM, "1", "first"}
	gcm1b  = testKey{encconfig.AESGCM, "1", "another key of the same name"}
	gcm2   = testKey{encconfig.AESGCM, "2", "second"}
	colon  = testKey{encconfig.AESGCM, "1:2", "colon"}
	cbc1   = testKey{encconfig.AESCBC, "1", "seed of cbc"}
	cbc1b  = testKey{encconfig.AESCBC, "1", "another cbc"}
	cbcX   = testKey{encconfig.AESCBC, "1:x", "colon of cbc"}
	box1   = testKey{encconfig.Secretbox, "1", "seed of box"}
	box1b  = testKey{encconfig.Secretbox, "1", "another box"}
	vault  = testKey{encconfig.KMS, "vault", "v1"}
	vault2 = testKey{encconfig.KMS, "vault", "v2"}
	nobody = encconfig.Key{}
)

func TestOpen(t *testing.T) {
	store := func(k testKey) string { return string(written(t, k, path, []byte(object))) }
	cutOff := func(value string) string { return value[:len(value)-1] }
	type rule = []testKey
	for name, tt := range map[string]struct {
		rule  []testKey
		path  string
		value string
		want  stored.Outcome
		key   encconfig.Key
	}{
		"the write key opens it: current":                         {rule{gcm1, plain}, path, store(gcm1), stored.OpenedCurrent, gcm1.key()},
		"a read key opens it: stale":                              {rule{gcm2, gcm1, plain}, path, store(gcm1), stored.OpenedStale, gcm1.key()},
		"plaintext behind a write key: stale":                     {rule{gcm1, plain}, path, object, stored.OpenedStale, plain.key()},
		"plaintext where identity writes: current":                {rule{plain, gcm1}, path, object, stored.OpenedCurrent, plain.key()},
		"encrypted where identity writes: stale":                  {rule{plain, gcm1}, path, store(gcm1), stored.OpenedStale, gcm1.key()},
		"plaintext without identity":                              {rule{gcm1}, path, object, stored.NoSuchKey, nobody},
		"encrypted where nothing is":                              {rule{plain}, path, store(gcm1), stored.NoSuchKey, nobody},
		"a key that the rule lacks":                               {rule{gcm2, plain}, path, store(gcm1), stored.NoSuchKey, nobody},
		"the same name of another provider":                       {rule{gcm1, plain}, path, store(box1), stored.NoSuchKey, nobody},
		"another key of the same name: aesgcm":                    {rule{gcm1b, plain}, path, store(gcm1), stored.KeyDoesNotFit, gcm1b.key()},
		"another key of the same name: secretbox":                 {rule{box1b, plain}, path, store(box1), stored.KeyDoesNotFit, box1b.key()},
		"two keys of one name: the first that fits":               {rule{gcm1b, gcm1, plain}, path, store(gcm1), stored.OpenedStale, gcm1.key()},
		"aesgcm moved to another path":                            {rule{gcm1, plain}, moved, store(gcm1), stored.KeyDoesNotFit, gcm1.key()},
		"secretbox moved to another path: upstream takes it":      {rule{box1, plain}, moved, store(box1), stored.OpenedCurrent, box1.key()},
		"aescbc moved to another path: upstream takes it":         {rule{cbc1, plain}, moved, store(cbc1), stored.OpenedCurrent, cbc1.key()},
		"aesgcm cut off by a byte":                                {rule{gcm1, plain}, path, cutOff(store(gcm1)), stored.KeyDoesNotFit, gcm1.key()},
		"aescbc cut off by a byte":                                {rule{cbc1, plain}, path, cutOff(store(cbc1)), stored.DamagedValue, cbc1.key()},
		"aescbc of 16 bytes, on which upstream panics":            {rule{cbc1, plain}, path, of("k8s:enc:aescbc:v1:1:", 16), stored.DamagedValue, cbc1.key()},
		"aescbc without a payload":                                {rule{cbc1, plain}, path, "k8s:enc:aescbc:v1:1:", stored.DamagedValue, cbc1.key()},
		"aesgcm without a payload":                                {rule{gcm1, plain}, path, "k8s:enc:aesgcm:v1:1:", stored.DamagedValue, gcm1.key()},
		"damaged, and of a key that the rule lacks":               {rule{gcm2, plain}, path, "k8s:enc:aesgcm:v1:1:", stored.DamagedValue, nobody},
		"a prefix that is cut off":                                {rule{gcm1, plain}, path, "k8s:enc:aesg", stored.DamagedValue, nobody},
		"a provider that nobody knows":                            {rule{gcm1, plain}, path, of("k8s:enc:rot13:v1:1:", 50), stored.NoSuchProvider, nobody},
		"a version that nobody knows":                             {rule{gcm1, plain}, path, of("k8s:enc:aesgcm:v2:1:", 50), stored.NoSuchProvider, nobody},
		"what no identity takes and is nothing":                   {rule{gcm1}, path, "hello", stored.DamagedValue, nobody},
		"what identity takes and is nothing":                      {rule{gcm1, plain}, path, "hello", stored.NotAnObject, plain.key()},
		"an empty value":                                          {rule{gcm1, plain}, path, "", stored.NotAnObject, plain.key()},
		"encrypted, and nothing in it":                            {rule{gcm1, plain}, path, string(written(t, gcm1, path, []byte("hello"))), stored.NotAnObject, gcm1.key()},
		"KMS v1 of a plugin that the rule has":                    {rule{vault, plain}, path, of("k8s:enc:kms:v1:vault:\x00\x02kk", 50), stored.NotSupported, vault.key()},
		"KMS v2 of a plugin that the rule has, and damaged":       {rule{vault2, plain}, path, "k8s:enc:kms:v2:vault:", stored.DamagedValue, vault2.key()},
		"KMS v1 where the rule has the plugin as v2":              {rule{vault2, plain}, path, of("k8s:enc:kms:v1:vault:\x00\x02kk", 50), stored.NoSuchKey, nobody},
		"KMS of a plugin that the rule lacks":                     {rule{gcm1, plain}, path, of("k8s:enc:kms:v1:vault:\x00\x02kk", 50), stored.NoSuchKey, nobody},
		"a local key behind a KMS plugin":                         {rule{vault, gcm1, plain}, path, store(gcm1), stored.OpenedStale, gcm1.key()},
		"a name with a colon":                                     {rule{colon, plain}, path, store(colon), stored.OpenedCurrent, colon.key()},
		"a name with a colon, and another that it begins with":    {rule{gcm1, colon, plain}, path, store(colon), stored.OpenedStale, colon.key()},
		"a name with a colon, which the rule lacks":               {rule{gcm1, plain}, path, store(colon), stored.KeyDoesNotFit, gcm1.key()},
		"aescbc with a colon in the name, which looks damaged":    {rule{cbcX, plain}, path, store(cbcX), stored.OpenedCurrent, cbcX.key()},
		"aescbc with a colon, where the panic comes before it":    {rule{cbc1, cbcX}, path, of("k8s:enc:aescbc:v1:1:x:", 14), stored.DamagedValue, cbc1.key()},
		"an object that begins with the prefix of nothing at all": {rule{plain}, path, "k8s:encrypted", stored.NotAnObject, plain.key()},
	} {
		t.Run(name, func(t *testing.T) {
			value := []byte(tt.value)
			got := chain(t, tt.rule...).Open([]byte(tt.path), value)
			want := stored.Opening{Outcome: tt.want, Key: tt.key}
			assert.Equal(t, want, got)
			assert.Equal(t, tt.value, string(value), "the value stays as it is")
		})
	}
}

// A wrong key of aescbc makes a fitting padding by chance, once in 256 times. kube-apiserver takes the result for
// plaintext then and tries no other key.
func TestAWrongKeyOfAESCBCNeverOpensAnything(t *testing.T) {
	c := chain(t, cbc1b, cbc1)
	outcomes := map[stored.Outcome]int{}
	for range 3000 {
		outcomes[c.Open([]byte(path), written(t, cbc1, path, []byte(object))).Outcome]++
	}
	assert.Zero(t, outcomes[stored.OpenedCurrent])
	assert.Positive(t, outcomes[stored.OpenedStale])
	assert.Positive(t, outcomes[stored.NotAnObject])
	assert.Len(t, outcomes, 2)
}

func TestAChainThatCanNotBeMadeSaysWhyAndNoKey(t *testing.T) {
	short := keys.New([]byte("sixteen plus one!"))
	for name, tt := range map[string]struct {
		rule []encconfig.Transformer
		want string
	}{
		"no transformer":      {nil, "a rule needs a transformer"},
		"aesgcm of 17 bytes":  {[]encconfig.Transformer{{Key: gcm1.key(), Secret: short}}, "aesgcm/1: the secret has 17 bytes, AES takes 16, 24 or 32"},
		"aescbc of 17 bytes":  {[]encconfig.Transformer{{Key: cbc1.key(), Secret: short}}, "aescbc/1: the secret has 17 bytes, AES takes 16, 24 or 32"},
		"secretbox of 17":     {[]encconfig.Transformer{{Key: box1.key(), Secret: short}}, "secretbox/1: the secret has 17 bytes, secretbox takes 32"},
		"no secret":           {[]encconfig.Transformer{{Key: gcm1.key()}}, "aesgcm/1: the secret has 0 bytes, AES takes 16, 24 or 32"},
		"no name":             {[]encconfig.Transformer{{Key: encconfig.Key{Provider: encconfig.AESGCM}}}, "aesgcm: a key needs a name"},
		"an unknown provider": {[]encconfig.Transformer{{Key: encconfig.Key{Provider: "rot13", Name: "1"}}}, "rot13/1: nobody knows this provider"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open.NewChain(tt.rule)
			require.EqualError(t, err, tt.want)
		})
	}
}

func TestAChainPrintsNoKey(t *testing.T) {
	for _, k := range []testKey{gcm1, cbc1, box1} {
		step, c := k.transformer(), chain(t, k)
		said := fmt.Sprintf("%v %+v %#v %v %+v %#v", step, step, step, c, c, c)
		assert.NotContains(t, said, k.seed)
		assert.NotContains(t, said, strings.Trim(fmt.Sprintf("%v", k.bytes()[:4]), "[]"))
		assert.NotContains(t, said, step.Secret.Base64())
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, k := range []testKey{gcm1, cbc1, box1, plain} {
		large := []byte(`{"kind":"Secret","data":"` + strings.Repeat("x", 1000) + `"}`)
		value, c := written(b, k, path, large), chain(b, k)
		b.Run(string(k.provider), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Open([]byte(path), value)
			}
		})
	}
}

func of(prefix string, size int) string {
	return string(slices.Concat([]byte(prefix), make([]byte, size)))
}
