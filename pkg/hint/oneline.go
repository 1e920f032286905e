// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package hint

import (
	"strings"
	"unicode/utf8"
)

// OneLine keeps what a cluster says from looking like a line of ours. What else it may hold is escaped where it is printed.
func OneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// MaxMessage is the length in bytes of what is repeated of a server's message.
const MaxMessage = 512

// Shorten cuts a message to MaxMessage, at a rune, and says so with an ellipsis.
func Shorten(s string) string {
	if len(s) <= MaxMessage {
		return s
	}
	cut := MaxMessage
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
