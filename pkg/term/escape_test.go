// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package term_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/term"
)

func TestEscape(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ in, want string }{
		"nothing":                       {"", ""},
		"plain text":                    {`a name, a path /etc/x and a backslash \n`, `a name, a path /etc/x and a backslash \n`},
		"letters of any script":         {"größe 名前 שלום", "größe 名前 שלום"},
		"a letter of two runes":         {"e\u0301", "e\u0301"},
		"a colour":                      {"\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		"a window title":                {"\x1b]0;owned\a", `\x1b]0;owned\x07`},
		"the one-byte form of an ESC [": {"\u009b31m", `\u009b31m`},
		"the same as a lone byte":       {"\x9b31m", `\x9b31m`},
		"line ends and tabs":            {"a\nb\r\nc\td", `a\nb\r\nc\td`},
		"a backspace and a delete":      {"a\bb\x7f", `a\x08b\x7f`},
		"a NUL":                         {"a\x00b", `a\x00b`},
		"text that turns round":         {"safe\u202etxt.exe\u2066", `safe\u202etxt.exe\u2066`},
		"marks of direction":            {"\u200e\u200f\u061c", `\u200e\u200f\u061c`},
		"zero width":                    {"a\u200bb\u200dc\ufeff", `a\u200bb\u200dc\ufeff`},
		"other ends of a line":          {"a\u0085b\u2028c\u2029", `a\u0085b\u2028c\u2029`},
		"other spaces":                  {"a\u00a0b\u3000c", `a\u00a0b\u3000c`},
		"tag characters":                {"a\U000e0041", `a\U000e0041`},
		"private use":                   {"\ue000", `\ue000`},
		"not UTF-8":                     {"a\xff\xfeb\xc3", `a\xff\xfeb\xc3`},
		"half a surrogate pair":         {"\xed\xa0\x80", `\xed\xa0\x80`},
		"the real replacement rune":     {"\ufffd", "\ufffd"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, term.Escape(test.in))
		})
	}
}

func TestEscape_cuts_what_is_too_long(t *testing.T) {
	t.Parallel()
	fits := strings.Repeat("a", term.MaxEscaped)
	assert.Equal(t, fits, term.Escape(fits))
	assert.Equal(t, fits+"…", term.Escape(fits+"b"))
	assert.Equal(t, strings.Repeat("a", term.MaxEscaped-1)+"…", term.Escape(fits[1:]+"ü"), "never within a rune")
	assert.LessOrEqual(t, len(term.Escape(strings.Repeat("\x00", 1<<20))), term.MaxEscaped+len("…"))
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"plain", "\x1b[2J", "a\u202eb", "\xff\xc3", "\u009b", strings.Repeat("\n", 3000), "…", "e\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		escaped := term.Escape(s)
		require.True(t, utf8.ValidString(escaped))
		require.LessOrEqual(t, len(escaped), term.MaxEscaped+len("…"))
		for _, r := range escaped {
			require.True(t, unicode.IsPrint(r), "%U in %q", r, escaped)
			require.False(t, unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Zs, r) && r != ' ')
		}
		if len(escaped) <= term.MaxEscaped {
			require.Equal(t, escaped, term.Escape(escaped), "harmless text stays as it is")
		}
	})
}
