// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package podlog

import (
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLine(t *testing.T) {
	t.Parallel()
	s := NewScrubber([]byte("- name: \"1\"\n  secret: c2VjcmV0IGlzIHNlY3VyZQ==\n- {name: b, \"secret\": \"short/1\"}\n"))
	tests := []struct{ name, line, want string }{
		{
			"an ordinary line => as it is",
			`I1120 10:00:01.123456       1 options.go:228] external host was not specified, using 10.0.0.11`,
			`I1120 10:00:01.123456       1 options.go:228] external host was not specified, using 10.0.0.11`,
		},
		{
			"paths, flags, names and hooks => as they are",
			`k8s.io/apiserver/pkg/server/options/encryptionconfig --encryption-provider-config=/etc/kubernetes/encryption/config.yaml ` +
				`EncryptionConfiguration poststarthook/start-encryption-provider-config-automatic-reload kube-apiserver-n1`,
			`k8s.io/apiserver/pkg/server/options/encryptionconfig --encryption-provider-config=/etc/kubernetes/encryption/config.yaml ` +
				`EncryptionConfiguration poststarthook/start-encryption-provider-config-automatic-reload kube-apiserver-n1`,
		},
		{"a known key => hidden", `key c2VjcmV0IGlzIHNlY3VyZQ==, bad`, `key [hidden]==, bad`},
		{"a known key within other text => hidden", `xxc2VjcmV0IGlzIHNlY3VyZQyy`, `xx[hidden]yy`},
		{"a known key decoded => hidden", `key secret is secure, bad`, `key [hidden], bad`},
		{"a known key that is no base64 => hidden", `key short/1.`, `key [hidden].`},
		{"an unknown key => hidden", `"Secret":"AQEBAQEBAQEBAQEBAQEBAQ=="`, `"Secret":"[hidden]"`},
		{"an unknown key of base64url => hidden", `x_-AQEBAQEBAQEBAQEBAQ1 y`, `[hidden] y`},
		{"an unknown key in hexadecimal => hidden", strings.Repeat("0a", 16), `[hidden]`},
		{"what acts on a terminal => shown as text", "a\x1b[2Jb\rc\x00\x7f\u202e\xff", `a\x1b[2Jb\rc\x00\x7f\u202e\xff`},
		{"a backslash => as it is", `\n`, `\n`},
		{"other scripts => as they are", "ключ 鍵", "ключ 鍵"},
		{
			"a long line => without its middle", strings.Repeat("a ", 200) + "more than one provider specified",
			strings.Repeat("a ", 74) + " … " + strings.Repeat("a ", 58) + "more than one provider specified",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, s.Line(tt.line))
		})
	}
}

func TestLine_noRandomKeyIsTakenForWords(t *testing.T) {
	t.Parallel()
	random := rand.NewChaCha8([32]byte{7})
	var none Scrubber
	for range 20_000 {
		for _, size := range []int{16, 24, 32} {
			key := make([]byte, size)
			_, _ = random.Read(key)
			for _, form := range []string{
				base64.StdEncoding.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key), hex.EncodeToString(key),
			} {
				require.Equal(t, "key: "+hidden, none.Line("key: "+form))
			}
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), "before ", " after", false)
	f.Add([]byte("passphrase12345\n"), "\x1b[31m", `\`, true)
	f.Add([]byte(strings.Repeat("a", 32)), "AAAA", "==", true)
	f.Fuzz(func(t *testing.T, key []byte, before, after string, decoded bool) {
		if len(key) < shortest || len(key) > 64 {
			return
		}
		secret := base64.StdEncoding.EncodeToString(key)
		s := NewScrubber([]byte("secret: " + secret + "\n"))
		text := secret
		if decoded {
			text = string(key)
		}
		line := s.Line(before + text + after)
		require.True(t, utf8.ValidString(line))
		require.LessOrEqual(t, utf8.RuneCountInString(line), MaxLine)
		for _, r := range line {
			require.True(t, unicode.IsPrint(r), "%q", r)
		}
		require.NotContains(t, line, strings.TrimRight(secret, "="))
		if !strings.Contains(hidden, string(key)) {
			require.NotContains(t, line, string(key))
		}
	})
}

func FuzzMessages(f *testing.F) {
	f.Add(stamp+" stderr P a\n"+stamp+" stderr F b\n", true)
	f.Fuzz(func(t *testing.T, text string, cut bool) {
		for _, m := range messages(text, cut) {
			require.NotContains(t, m, "\n")
			require.LessOrEqual(t, len(m), len(text))
		}
	})
}
