// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package keys holds key material and what may be said about it.
//
// It imports the standard library alone. Invariant: no method of Secret prints a byte of the key.
package keys

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
)

// Size is the length in bytes of every key that is made here: AES-256 and XSalsa20 both take 32.
const Size = 32

const redacted = "REDACTED"

// Secret is key material. Every way of printing it gives REDACTED; Bytes is the one way out.
type Secret struct {
	// raw is behind a pointer: fmt asks no method for %p and %w, and prints the fields of what it is given.
	raw *[]byte
}

// New makes a secret of raw, which the caller gives up.
func New(raw []byte) Secret { return Secret{raw: &raw} }

// Generate reads a new key from random.
func Generate(random io.Reader) (Secret, error) {
	raw := make([]byte, Size)
	if _, err := io.ReadFull(random, raw); err != nil {
		return Secret{}, fmt.Errorf("read %d random bytes: %w", Size, err)
	}
	return New(raw), nil
}

func (s Secret) bytes() []byte {
	if s.raw == nil {
		return nil
	}
	return *s.raw
}

// Base64 is the key as kube-apiserver reads it from its configuration.
func (s Secret) Base64() string { return base64.StdEncoding.EncodeToString(s.bytes()) }

// Len is the length of the key in bytes.
func (s Secret) Len() int { return len(s.bytes()) }

// Fingerprint names a key without telling it: the first 64 bits of a hash over provider, name and key.
// A key that was drawn at random can't be found from it.
func (s Secret) Fingerprint(provider, name string) string {
	h := sha256.New()
	for _, part := range []string{"kubectl-encryption key fingerprint v1", provider, name} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	h.Write(s.bytes())
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// String implements fmt.Stringer.
func (Secret) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return redacted }

// Format implements fmt.Formatter, so that no verb reaches the bytes.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// Number is the number that a key's name ends in, 0 where it ends in none. It orders names by age:
// "7" and "key7" have the number 7.
func Number(name string) uint64 {
	digits := name[len(strings.TrimRight(name, "0123456789")):]
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return 0 // no digits, or a date-like run of them too long to count on
	}
	return n
}

// NextName is the name for a new key: the number after the highest of all names that were ever seen.
// A name becomes a part of every stored value, hence short; a name is never used twice, since a value that
// asks for it must never meet another key.
func NextName(seen ...string) string {
	var highest uint64
	for _, name := range seen {
		highest = max(highest, Number(name))
	}
	return NameOf(highest + 1)
}

// NameOf is the name of the key with a number.
func NameOf(number uint64) string { return strconv.FormatUint(number, 10) }
