// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package keys_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/klog/v2"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
)

// raw is a key whose bytes look like nothing else.
const raw = "\x9f\xc3\x07canary-that-must-never-sing\xe2\x10"

// holder has a secret in every place that printers reach into.
type holder struct {
	Secret  keys.Secret
	Pointer *keys.Secret
	List    []keys.Secret
	Map     map[string]keys.Secret
	Any     any
}

func held() holder {
	s := keys.New([]byte(raw))
	return holder{Secret: s, Pointer: &s, List: []keys.Secret{s}, Map: map[string]keys.Secret{"k": s}, Any: s}
}

func TestSecret_no_verb_prints_a_byte(t *testing.T) {
	t.Parallel()
	for verb := ' '; verb <= '~'; verb++ {
		for _, flags := range []string{"", "+", "#", "-", " ", "0", "+#", "9.3"} {
			format := "%" + flags + string(verb)
			for _, value := range []any{held().Secret, held().Pointer, held().List, held().Map, held(), []any{held()}} {
				assertSilent(t, fmt.Sprintf(format, value), format)
			}
		}
	}
	assert.Equal(t, "s=REDACTED x=REDACTED v=REDACTED", fmt.Sprintf("s=%s x=%x v=%#v", held().Secret, held().Secret, held().Secret))
	assert.Equal(t, "REDACTED", held().Secret.String())
	assert.Equal(t, "REDACTED", held().Secret.GoString())
}

func TestSecret_no_encoding_holds_a_byte(t *testing.T) {
	t.Parallel()
	encoded, err := json.Marshal(held())
	require.NoError(t, err)
	assertSilent(t, string(encoded), "json")
	assert.Contains(t, string(encoded), `"Secret":"REDACTED"`)

	encoded, err = yaml.Marshal(held())
	require.NoError(t, err)
	assertSilent(t, string(encoded), "yaml")

	encoded, err = xml.Marshal(held().Secret)
	require.NoError(t, err)
	assertSilent(t, string(encoded), "xml")
}

func TestSecret_no_log_holds_a_byte(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("keys", "secret", held().Secret, "pointer", held().Pointer, "holder", held(), "list", held().List)
	}
	assert.Contains(t, log.String(), "secret=REDACTED")
	assertSilent(t, log.String(), "slog")
}

// Not parallel: klog has one output for the whole process.
func TestSecret_no_klog_line_holds_a_byte(t *testing.T) {
	var log bytes.Buffer
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	require.NoError(t, flags.Set("logtostderr", "false"))
	require.NoError(t, flags.Set("stderrthreshold", "FATAL"))
	klog.SetOutput(&log)
	defer klog.SetOutput(io.Discard)

	h := held()
	klog.InfoS("keys", "secret", h.Secret, "pointer", h.Pointer, "holder", h, "list", h.List)
	klog.Infof("%v %+v %#v", h, h, h)
	klog.ErrorS(fmt.Errorf("with %v", h.Secret), "keys", "map", h.Map)
	klog.Flush()

	assert.Contains(t, log.String(), "REDACTED")
	assertSilent(t, log.String(), "klog")
}

// assertSilent fails where the text has any twelve characters in a row of the key in any spelling.
func assertSilent(t *testing.T, text, how string) {
	t.Helper()
	spelling := []string{
		raw, fmt.Sprintf("%q", raw), base64.StdEncoding.EncodeToString([]byte(raw)), hex.EncodeToString([]byte(raw)),
		strings.ToUpper(hex.EncodeToString([]byte(raw))), strings.Trim(fmt.Sprintf("%v", []byte(raw)), "[]"), fmt.Sprintf("%#v", []byte(raw)),
	}
	for _, s := range spelling {
		s = strings.TrimPrefix(s, "[]byte{")
		for i := 0; i+12 <= len(s); i++ {
			if strings.Contains(text, s[i:i+12]) {
				require.Failf(t, "a key was printed", "%s gives %q", how, text)
			}
		}
	}
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	a, err := keys.Generate(rand.Reader)
	require.NoError(t, err)
	b, err := keys.Generate(rand.Reader)
	require.NoError(t, err)
	assert.Equal(t, keys.Size, a.Len())
	assert.NotEqual(t, a.Base64(), b.Base64())

	_, err = keys.Generate(strings.NewReader("too short"))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = keys.Generate(broken{})
	require.ErrorContains(t, err, "read 32 random bytes: no entropy")
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("no entropy") }

func TestSecret_Base64_is_what_the_configuration_holds(t *testing.T) {
	t.Parallel()
	assert.Equal(t, base64.StdEncoding.EncodeToString([]byte(raw)), keys.New([]byte(raw)).Base64())
}

func TestSecret_Fingerprint_tells_provider_name_and_key_apart(t *testing.T) {
	t.Parallel()
	s := keys.New([]byte(raw))
	same := s.Fingerprint("aesgcm", "1")
	assert.Equal(t, "556c84c47d9f4318", same, "recorded on nodes and in the ledger: it must not change")
	for _, other := range []string{
		s.Fingerprint("aescbc", "1"), s.Fingerprint("aesgcm", "2"), s.Fingerprint("aesgcm1", ""),
		keys.New([]byte(raw[1:])).Fingerprint("aesgcm", "1"),
	} {
		assert.NotEqual(t, same, other)
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		name string
		want uint64
	}{
		"a number":                                  {"7", 7},
		"a word and a number":                       {"key7", 7},
		"leading zeros":                             {"key-007", 7},
		"only the digits at the end count":          {"v2-key3", 3},
		"no digits":                                 {"key", 0},
		"digits elsewhere":                          {"2key", 0},
		"nothing":                                   {"", 0},
		"the highest that counts":                   {"4294967295", 4294967295},
		"one more does not count":                   {"4294967296", 0},
		"a date does not count":                     {"key20261120123456", 0},
		"digits of another script do not count":     {"key٣", 0},
		"a sign is not a part of the number":        {"key-3", 3},
		"more digits than any integer do not count": {strings.Repeat("9", 60), 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, keys.Number(test.name))
		})
	}
}

func TestNextName(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		seen []string
		want string
	}{
		"the first key":                             {nil, "1"},
		"one more than the highest":                 {[]string{"1", "3", "2"}, "4"},
		"names of other people count by their ends": {[]string{"key1", "old"}, "2"},
		"names without a number do not count":       {[]string{"primary", "backup"}, "1"},
		"a gap is not filled":                       {[]string{"9", "1"}, "10"},
		"after the highest that counts":             {[]string{"4294967295"}, "4294967296"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next := keys.NextName(test.seen...)
			assert.Equal(t, test.want, next)
			assert.NotContains(t, test.seen, next)
		})
	}
}
