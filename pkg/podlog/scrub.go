// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package podlog

import (
	"cmp"
	"encoding/base64"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Scrubber takes keys out of lines. kube-apiserver itself prints keys: where a configuration has two providers in one
// element, its error quotes both (k8s.io/apiserver@v0.37.1 pkg/apis/apiserver/validation/validation_encryption.go).
type Scrubber struct {
	// known are the secrets that must not be shown, the longest first.
	known []string
}

// hidden stands where something was taken out.
const hidden = "[hidden]"

// shortest is how long a run of characters must be to be taken for a key: half of the shortest key in base64.
const shortest = 16

// leastRaw is how short a key may be to be looked for as it is. What is shorter would hide parts of words.
const leastRaw = 6

var (
	// run is what base64, base64url and hexadecimal are made of.
	run = regexp.MustCompile(`[A-Za-z0-9+/_-]{16,}={0,2}`)
	// secretField is a secret in an EncryptionConfiguration, whatever else is wrong with the file.
	secretField = regexp.MustCompile(`(?i)\bsecret["']?[ \t]*:[ \t]*["']?([^\s"',}#]{6,})`)
	// word is a piece of a path or of an identifier: lower case with a number at its end, humps of four letters and
	// more, or a short number. A key has too much of everything to be made of such pieces alone: of a million random
	// keys of 16 bytes about two are, of 32 bytes none. And the node's own keys are known, whatever they look like.
	word = regexp.MustCompile(`^(?:[a-z]+[0-9]{0,2}|[A-Z]?[a-z]{3,}(?:[A-Z][a-z]{3,})*|[0-9]{1,4})$`)
)

// NewScrubber knows every secret in the given texts, which are configurations, and whatever in them may be one.
func NewScrubber(texts ...[]byte) Scrubber {
	var s Scrubber
	for _, text := range texts {
		for _, m := range secretField.FindAllSubmatch(text, -1) {
			s.add(string(m[1]))
		}
		for _, m := range run.FindAll(text, -1) {
			if !isWords(string(m)) {
				s.add(string(m))
			}
		}
	}
	slices.SortFunc(s.known, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	s.known = slices.Compact(s.known)
	return s
}

// add adds a secret as it is written and as it is when decoded.
func (s *Scrubber) add(secret string) {
	bare := strings.TrimRight(secret, "=")
	s.known = append(s.known, bare)
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		raw, err := encoding.DecodeString(bare)
		if err != nil || len(raw) < leastRaw {
			continue
		}
		quoted := strconv.Quote(string(raw))
		s.known = append(s.known, string(raw), quoted[1:len(quoted)-1])
	}
}

// Line is a line without known secrets, without anything that may be another, without control characters, and of a
// length that can be shown. The middle of a line that is too long goes: errors say what is wrong at their end.
func (s Scrubber) Line(line string) string {
	for _, secret := range s.known {
		line = strings.ReplaceAll(line, secret, hidden)
	}
	line = run.ReplaceAllStringFunc(line, func(text string) string {
		if isWords(text) {
			return text
		}
		return hidden
	})
	return shorten(escape(line))
}

// isWords tells whether a run is made of nothing but words and short numbers.
func isWords(text string) bool {
	text = strings.TrimRight(text, "=")
	pieces := strings.FieldsFunc(text, func(r rune) bool { return r == '/' || r == '-' || r == '_' })
	return !strings.Contains(text, "+") && !slices.ContainsFunc(pieces, func(p string) bool { return !word.MatchString(p) })
}

// escape writes what can't be printed as Go does, so that nothing in a line can act on a terminal.
func escape(line string) string {
	var b strings.Builder
	for i := 0; i < len(line); {
		r, size := utf8.DecodeRuneInString(line[i:])
		if r == utf8.RuneError && size <= 1 || !unicode.IsPrint(r) {
			quoted := strconv.QuoteToASCII(line[i : i+size])
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}

// MaxLine is the longest line in characters that Line gives.
const MaxLine = 300

func shorten(line string) string {
	const gap = " … "
	runes := []rune(line)
	if len(runes) <= MaxLine {
		return line
	}
	half := (MaxLine - len([]rune(gap))) / 2
	return string(runes[:half]) + gap + string(runes[len(runes)-half:])
}
