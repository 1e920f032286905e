// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const (
	// recipientPrefix is what a recipient begins with; its digit is the version of the format.
	recipientPrefix = "ker1"
	// publicKeySize is the size of an ML-KEM-768 encapsulation key and an X25519 key.
	publicKeySize = 1184 + 32
	checksumSize  = 4
)

// EncodeRecipient writes a public key as one word that can be pasted.
func EncodeRecipient(publicKey []byte) string {
	payload := append(bytes.Clone(publicKey), checksum(publicKey)...)
	return recipientPrefix + base64.RawURLEncoding.EncodeToString(payload)
}

// ParseRecipient reads a recipient and tells one that was cut or changed on its way.
func ParseRecipient(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	encoded, found := strings.CutPrefix(text, recipientPrefix)
	switch {
	case text == "":
		return nil, errors.New("the recipient is empty")
	case !found:
		return nil, fmt.Errorf("the recipient does not begin with %q: it must be the line that encryption-agent recipient prints", recipientPrefix)
	case strings.ContainsAny(encoded, "\r\n"):
		return nil, errors.New("the recipient has more than one line")
	}
	if full := base64.RawURLEncoding.EncodedLen(publicKeySize + checksumSize); len(encoded) != full {
		return nil, fmt.Errorf("the recipient has %d characters, a whole one has %d", len(text), full+len(recipientPrefix))
	}
	payload, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, errors.New("the recipient has a character that does not belong there")
	}
	publicKey, sum := payload[:publicKeySize], payload[publicKeySize:]
	if !bytes.Equal(checksum(publicKey), sum) {
		return nil, errors.New("the recipient was changed on its way: its checksum does not fit")
	}
	return publicKey, nil
}

func checksum(publicKey []byte) []byte {
	h := sha256.New()
	h.Write([]byte(recipientPrefix))
	h.Write(publicKey)
	return h.Sum(nil)[:checksumSize]
}

// Fingerprint is a public key in short, for people to compare.
func Fingerprint(publicKey []byte) string {
	sum := sha256.Sum256(publicKey)
	return "sha256:" + hex.EncodeToString(sum[:])
}
