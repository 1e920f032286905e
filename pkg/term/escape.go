// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package term

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxEscaped is the length in bytes that Escape cuts text to, without the mark that it leaves there.
const MaxEscaped = 2000

const cutMark = "…"

// Escape makes text harmless to show on one line: what moves the cursor, changes colours or titles, breaks the
// line, turns the direction of writing or can't be seen at all is spelled out (\x1b, \n, \u202e), as are bytes that
// are not UTF-8. Very long text is cut. Text that is harmless stays as it is, backslashes included.
func Escape(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		piece := spell(r, s[:size])
		if b.Len()+len(piece) > MaxEscaped {
			b.WriteString(cutMark)
			break
		}
		b.WriteString(piece)
		s = s[size:]
	}
	return b.String()
}

// spell is one rune as it may be shown. unicode.IsPrint knows letters, marks, digits, punctuation, symbols and the
// plain space; no control (C0, C1), no format character (bidi, zero width), no other space.
func spell(r rune, raw string) string {
	switch {
	case r == utf8.RuneError && len(raw) == 1:
		return fmt.Sprintf(`\x%02x`, raw[0])
	case unicode.IsPrint(r):
		return raw
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r < 0x80:
		return fmt.Sprintf(`\x%02x`, r)
	case r <= 0xffff:
		return fmt.Sprintf(`\u%04x`, r)
	default:
		return fmt.Sprintf(`\U%08x`, r)
	}
}
