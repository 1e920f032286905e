// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package stored_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	kmstypes "k8s.io/apiserver/pkg/storage/value/encrypt/envelope/kmsv2/v2"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/stored"
)

// of is a prefix with so many bytes after it.
func of(prefix string, size int) string { return prefix + strings.Repeat("\x00", size) }

func damaged(m stored.Mark) stored.Mark {
	m.Damaged = true
	return m
}

func unknown(p encconfig.Provider, version string) stored.Mark {
	return stored.Mark{Form: stored.Unknown, Provider: p, Version: version}
}

func TestRead(t *testing.T) {
	plaintext := stored.Mark{Form: stored.Plaintext, Provider: encconfig.Identity}
	undecodable := stored.Mark{Form: stored.Undecodable}
	longest := strings.Repeat("n", stored.MaxName)
	const typed = "\x0a\x0c\x0a\x02v1\x12\x06Secret"
	for name, tt := range map[string]struct {
		value string
		want  stored.Mark
	}{
		"an object in protobuf is plaintext":               {"k8s\x00" + typed + "\x12\x02ab", plaintext},
		"one in JSON too":                                  {`{"kind":"Widget"}` + "\n", plaintext},
		"one in JSON after space":                          {" \r\n\t{}", plaintext},
		"one in CBOR too":                                  {"\xd9\xd9\xf7\xa1\x44kind\x41x", plaintext},
		"protobuf that is cut off is damaged":              {"k8s\x00" + typed + "\x12\x02a", damaged(plaintext)},
		"protobuf without a type is damaged":               {"k8s\x00\x12\x02ab", damaged(plaintext)},
		"protobuf without an object is damaged":            {"k8s\x00" + typed, damaged(plaintext)},
		"the prefix of protobuf alone is damaged":          {"k8s\x00", damaged(plaintext)},
		"JSON that is cut off is damaged":                  {`{"kind":"Wid`, damaged(plaintext)},
		"CBOR without a map is damaged":                    {"\xd9\xd9\xf7\x01", damaged(plaintext)},
		"CBOR that ends after its prefix is damaged":       {"\xd9\xd9\xf7", damaged(plaintext)},
		"nothing is undecodable":                           {"", undecodable},
		"space is undecodable":                             {" \n", undecodable},
		"a text is undecodable":                            {"hello", undecodable},
		"a list in JSON is undecodable":                    {"[{}]", undecodable},
		"YAML is undecodable":                              {"kind: Secret", undecodable},
		"a prefix of protobuf that is cut off":             {"k8s", undecodable},
		"a prefix that ends after k8s:":                    {"k8s:", undecodable},
		"a prefix that ends before the provider":           {"k8s:enc:", undecodable},
		"a prefix that ends in the provider":               {"k8s:enc:aesg", undecodable},
		"a prefix without a provider":                      {of("k8s:enc::v1:1:", 50), undecodable},
		"a prefix that ends before the version":            {"k8s:enc:aesgcm:", undecodable},
		"a prefix that ends in the version":                {"k8s:enc:aesgcm:v1", undecodable},
		"a version that is none":                           {of("k8s:enc:aesgcm:one:1:", 50), undecodable},
		"a provider that is no word":                       {of("k8s:enc:\x1b[31m:v1:1:", 50), undecodable},
		"a provider that is too long":                      {"k8s:enc:" + strings.Repeat("a", 64) + ":v1:1:", undecodable},
		"a provider that nobody knows":                     {of("k8s:enc:rot13:v1:1:", 50), unknown("rot13", "v1")},
		"one whose version is none":                        {of("k8s:enc:rot13:\x00:", 50), unknown("rot13", "")},
		"one that has no version":                          {"k8s:enc:rot13:", unknown("rot13", "")},
		"a version that nobody knows":                      {of("k8s:enc:aesgcm:v2:1:", 50), unknown(encconfig.AESGCM, "v2")},
		"a version of KMS that nobody knows":               {of("k8s:enc:kms:v3:vault:", 50), unknown(encconfig.KMS, "v3")},
		"identity is no provider of a prefix":              {of("k8s:enc:identity:v1:", 50), unknown(encconfig.Identity, "v1")},
		"the shortest of aesgcm":                           {of("k8s:enc:aesgcm:v1:1:", 29), encrypted(encconfig.AESGCM, "1")},
		"aesgcm without ciphertext is damaged":             {of("k8s:enc:aesgcm:v1:1:", 28), damaged(encrypted(encconfig.AESGCM, "1"))},
		"aesgcm without a payload is damaged":              {"k8s:enc:aesgcm:v1:1:", damaged(encrypted(encconfig.AESGCM, "1"))},
		"aesgcm that ends in the name of the key":          {"k8s:enc:aesgcm:v1:key", damaged(encrypted(encconfig.AESGCM, ""))},
		"aesgcm that ends before the name of the key":      {"k8s:enc:aesgcm:v1:", damaged(encrypted(encconfig.AESGCM, ""))},
		"a key without a name is damaged":                  {of("k8s:enc:aesgcm:v1::", 50), damaged(encrypted(encconfig.AESGCM, ""))},
		"the longest name of a key":                        {of("k8s:enc:aesgcm:v1:"+longest+":", 50), encrypted(encconfig.AESGCM, longest)},
		"a longer name of a key is damaged":                {of("k8s:enc:aesgcm:v1:"+longest+"n:", 50), damaged(encrypted(encconfig.AESGCM, ""))},
		"a name is kept as it is":                          {of("k8s:enc:aesgcm:v1:\x1b[31m\xff:", 50), encrypted(encconfig.AESGCM, "\x1b[31m\xff")},
		"a name ends at its first colon":                   {of("k8s:enc:aesgcm:v1:a:b:", 50), encrypted(encconfig.AESGCM, "a")},
		"the shortest of aescbc":                           {of("k8s:enc:aescbc:v1:1:", 32), encrypted(encconfig.AESCBC, "1")},
		"aescbc of 16 bytes, on which upstream panics":     {of("k8s:enc:aescbc:v1:1:", 16), damaged(encrypted(encconfig.AESCBC, "1"))},
		"aescbc of blocks that are not whole is damaged":   {of("k8s:enc:aescbc:v1:1:", 47), damaged(encrypted(encconfig.AESCBC, "1"))},
		"the shortest of secretbox":                        {of("k8s:enc:secretbox:v1:1:", 41), encrypted(encconfig.Secretbox, "1")},
		"secretbox without ciphertext is damaged":          {of("k8s:enc:secretbox:v1:1:", 40), damaged(encrypted(encconfig.Secretbox, "1"))},
		"the shortest of KMS v1":                           {of("k8s:enc:kms:v1:vault:\x00\x02kk", 29), encrypted(encconfig.KMS, "vault")},
		"KMS v1 without ciphertext is damaged":             {of("k8s:enc:kms:v1:vault:\x00\x02kk", 28), damaged(encrypted(encconfig.KMS, "vault"))},
		"KMS v1 without a data key is damaged":             {of("k8s:enc:kms:v1:vault:\x00\x00", 50), damaged(encrypted(encconfig.KMS, "vault"))},
		"KMS v1 whose data key is cut off is damaged":      {of("k8s:enc:kms:v1:vault:\x01\x00", 50), damaged(encrypted(encconfig.KMS, "vault"))},
		"KMS v1 whose length is cut off is damaged":        {"k8s:enc:kms:v1:vault:\x00", damaged(encrypted(encconfig.KMS, "vault"))},
		"the prefix of another value within a value":       {"x" + of("k8s:enc:aesgcm:v1:1:", 50), undecodable},
		"a prefix in capitals is none":                     {of("K8S:ENC:AESGCM:V1:1:", 50), undecodable},
		"the name of a known provider in other characters": {of("k8s:enc:AESGCM:v1:1:", 50), undecodable},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, tt.want, stored.Read([]byte(tt.value))) })
	}
}

func TestReadOfKMSv2(t *testing.T) {
	sound := func() *kmstypes.EncryptedObject {
		return &kmstypes.EncryptedObject{
			EncryptedData:      make([]byte, 29),
			KeyID:              "id",
			EncryptedDEKSource: []byte("source"),
			Annotations:        map[string][]byte{"a.example.com": []byte("1")},
		}
	}
	seeded := func(size int) func(*kmstypes.EncryptedObject) {
		return func(o *kmstypes.EncryptedObject) {
			o.EncryptedDEKSourceType = kmstypes.EncryptedDEKSourceType_HKDF_SHA256_XNONCE_AES_GCM_SEED
			o.EncryptedData = make([]byte, size)
		}
	}
	for name, tt := range map[string]struct {
		change  func(*kmstypes.EncryptedObject)
		id      string
		damaged bool
	}{
		"the shortest with a data key":           {func(*kmstypes.EncryptedObject) {}, "id", false},
		"the shortest with a seed":               {seeded(61), "id", false},
		"with a seed, and no ciphertext":         {seeded(60), "id", true},
		"no ciphertext":                          {func(o *kmstypes.EncryptedObject) { o.EncryptedData = make([]byte, 28) }, "id", true},
		"no data":                                {func(o *kmstypes.EncryptedObject) { o.EncryptedData = nil }, "id", true},
		"a data key of a type that nobody knows": {func(o *kmstypes.EncryptedObject) { o.EncryptedDEKSourceType = 2 }, "id", true},
		"no data key":                            {func(o *kmstypes.EncryptedObject) { o.EncryptedDEKSource = nil }, "id", true},
		"a data key that is too long":            {func(o *kmstypes.EncryptedObject) { o.EncryptedDEKSource = make([]byte, 1025) }, "id", true},
		"no id":                                  {func(o *kmstypes.EncryptedObject) { o.KeyID = "" }, "", true},
		"the longest id":                         {func(o *kmstypes.EncryptedObject) { o.KeyID = strings.Repeat("i", 1024) }, strings.Repeat("i", 1024), false},
		"an id that is too long":                 {func(o *kmstypes.EncryptedObject) { o.KeyID = strings.Repeat("i", 1025) }, "", true},
		"no annotations":                         {func(o *kmstypes.EncryptedObject) { o.Annotations = nil }, "id", false},
	} {
		t.Run(name, func(t *testing.T) {
			o := sound()
			tt.change(o)
			want := stored.Mark{Form: stored.Encrypted, Provider: encconfig.KMS, Version: "v2", Key: "vault", KeyID: tt.id, Damaged: tt.damaged}
			assert.Equal(t, want, stored.Read(kmsV2Value(t, o)))
		})
	}
}

func kmsV2Value(t testing.TB, o *kmstypes.EncryptedObject) []byte {
	t.Helper()
	payload, err := proto.Marshal(o)
	require.NoError(t, err)
	return slices.Concat([]byte("k8s:enc:kms:v2:vault:"), payload)
}

func TestAMarkKeepsNothingOfTheValueInMemory(t *testing.T) {
	value := []byte(of("k8s:enc:aesgcm:v1:name:", 50))
	mark := stored.Read(value)
	clear(value)
	assert.Equal(t, "name", mark.Key)
}

func TestAReaderRemembersABoundedNumberOfNames(t *testing.T) {
	var reader stored.Reader
	for i := range 5000 {
		name := fmt.Sprintf("key-%d", i)
		assert.Equal(t, name, reader.Read([]byte(of("k8s:enc:aesgcm:v1:"+name+":", 50))).Key)
	}
	assert.LessOrEqual(t, stored.Interned(&reader), 1024)
}

func TestReadingOneMoreValueOfAKeyAllocatesNothing(t *testing.T) {
	var reader stored.Reader
	for at, value := range corpus(t) {
		reader.Read(value)
		assert.Zero(t, testing.AllocsPerRun(10, func() { reader.Read(value) }), at)
	}
}

func BenchmarkRead(b *testing.B) {
	var reader stored.Reader
	for at, value := range corpus(b) {
		if !bytes.Contains([]byte(at), []byte("secrets")) {
			continue
		}
		b.Run(at, func(b *testing.B) {
			for b.Loop() {
				reader.Read(value)
			}
		})
	}
}
