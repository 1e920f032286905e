// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The text of a bundle: a first line, headers in a fixed order, an empty line, the sealed bytes in lines of base64, a
// checksum of everything above it, and a last line.
const (
	firstLine = "-----BEGIN KUBECTL ENCRYPTION BUNDLE-----"
	lastLine  = "-----END KUBECTL ENCRYPTION BUNDLE-----"

	version       = "1"
	versionHeader = "Version"
	checkPrefix   = "="
	lineLength    = 64
)

// MaxSize is the longest text in bytes that Parse takes: the largest configuration fits.
const MaxSize = 2 << 20

// Encode writes the bundle as text.
func (b Bundle) Encode() ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("encode bundle: %w", err)
	}
	text := b.text()
	if len(text) > MaxSize {
		return nil, fmt.Errorf("encode bundle: it has %d bytes, at most %d are read", len(text), MaxSize)
	}
	return []byte(text), nil
}

func (b Bundle) text() string {
	var t strings.Builder
	t.WriteString(firstLine + "\n")
	for _, h := range b.headers() {
		t.WriteString(h.name + ": " + h.value + "\n")
	}
	t.WriteString("\n")
	for encoded := base64.StdEncoding.EncodeToString(b.Sealed); encoded != ""; {
		n := min(lineLength, len(encoded))
		t.WriteString(encoded[:n] + "\n")
		encoded = encoded[n:]
	}
	t.WriteString(check(t.String()) + "\n" + lastLine + "\n")
	return t.String()
}

type header struct{ name, value string }

func (b Bundle) headers() []header {
	return []header{
		{versionHeader, version},
		{"Path", b.Path},
		{"Digest", b.Digest},
		{"Run", b.Run},
		{"Label", b.Label},
		{"Recipient", b.Recipient},
		{"Made", stamp(b.Made)},
		{"Expires", stamp(b.Expires)},
	}
}

// check is the line that tells a damaged text from a whole one. It protects from accidents; from people the seal does.
func check(above string) string {
	sum := sha256.Sum256([]byte(above))
	return checkPrefix + hex.EncodeToString(sum[:8])
}

// Parse reads a bundle. What surrounds it may be white space alone, and its lines may end as on Windows; otherwise it
// is what Encode writes, to the byte. That it parses says nothing of who wrote it: opening it does.
func Parse(data []byte) (Bundle, error) {
	if len(data) > MaxSize {
		return Bundle{}, fmt.Errorf("this has more than %d bytes: it is not a bundle", MaxSize)
	}
	text := strings.Trim(strings.ReplaceAll(string(data), "\r\n", "\n"), " \t\r\n") + "\n"
	b, err := parse(text)
	if err != nil {
		return Bundle{}, err
	}
	if b.text() != text {
		return Bundle{}, errors.New("the bundle is not written as a bundle is")
	}
	return b, nil
}

func parse(text string) (Bundle, error) {
	rest, found := strings.CutPrefix(text, firstLine+"\n")
	if !found {
		return Bundle{}, fmt.Errorf("this is not a bundle: it does not begin with the line %q", firstLine)
	}
	above, found := strings.CutSuffix(text, lastLine+"\n")
	if !found {
		return Bundle{}, fmt.Errorf("the bundle is cut: it does not end with the line %q", lastLine)
	}
	at := strings.LastIndex(above, "\n"+checkPrefix)
	if at < 0 || above[at+1:] != check(above[:at+1])+"\n" {
		return Bundle{}, errors.New("the bundle is damaged: its checksum does not fit")
	}
	head, body, found := strings.Cut(rest[:at+1-len(firstLine+"\n")], "\n\n")
	if !found {
		return Bundle{}, errors.New("the bundle is damaged: no empty line ends its headers")
	}
	b, err := parseHeaders(strings.Split(head, "\n"))
	if err != nil {
		return Bundle{}, err
	}
	if b.Sealed, err = base64.StdEncoding.Strict().DecodeString(body); err != nil {
		return Bundle{}, errors.New("the bundle is damaged: its content is not base64")
	}
	if err := b.check(); err != nil {
		return Bundle{}, fmt.Errorf("the bundle is not understood: %w", err)
	}
	return b, nil
}

// parseHeaders takes the headers in the order in which they are written.
func parseHeaders(lines []string) (Bundle, error) {
	if got, found := strings.CutPrefix(lines[0], versionHeader+": "); found && got != version {
		return Bundle{}, fmt.Errorf("the bundle has version %q, this agent understands version %s alone", got, version)
	}
	want := Bundle{}.headers()
	if len(lines) != len(want) {
		return Bundle{}, fmt.Errorf("the bundle has %d headers instead of %d", len(lines), len(want))
	}
	values := map[string]string{}
	for i, h := range want {
		value, found := strings.CutPrefix(lines[i], h.name+": ")
		if !found {
			return Bundle{}, fmt.Errorf("line %d of the bundle is not the header %s", i+2, h.name)
		}
		values[h.name] = value
	}
	made, errMade := time.Parse(time.RFC3339, values["Made"])
	expires, errExpires := time.Parse(time.RFC3339, values["Expires"])
	if err := errors.Join(errMade, errExpires); err != nil {
		return Bundle{}, errors.New("the bundle does not say when it was made and when it expires")
	}
	return Bundle{
		Path: values["Path"], Digest: values["Digest"], Run: values["Run"], Label: values["Label"],
		Recipient: values["Recipient"], Made: made, Expires: expires,
	}, nil
}
