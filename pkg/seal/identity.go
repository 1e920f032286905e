// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

const (
	// identityPrefix is what a stored identity begins with; its digit is the version of the format.
	identityPrefix = "kei1"
	// checksumSize is how much of the SHA-256 of the rest ends a stored identity.
	checksumSize = 4
)

// errIdentity is all that is said about a stored identity that is not whole: what was read may be a private key.
var errIdentity = errors.New("this is not a whole identity")

// Marshal writes the private key as one line, for a file that root alone can read. It must go nowhere else.
func (i *Identity) Marshal() ([]byte, error) {
	secret, err := i.key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encode identity: %w", err)
	}
	defer clear(secret)
	payload := append(bytes.Clone(secret), checksum(secret)...)
	defer clear(payload)
	line := base64.RawURLEncoding.AppendEncode([]byte(identityPrefix), payload)
	return append(line, '\n'), nil
}

// ParseIdentity reads what Marshal has written.
func ParseIdentity(line []byte) (*Identity, error) {
	text, found := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte(identityPrefix))
	if !found {
		return nil, errIdentity
	}
	payload, err := base64.RawURLEncoding.Strict().AppendDecode(nil, text)
	defer clear(payload)
	if err != nil || len(payload) <= checksumSize || bytes.ContainsAny(text, "\r\n") {
		return nil, errIdentity
	}
	secret, sum := payload[:len(payload)-checksumSize], payload[len(payload)-checksumSize:]
	if !bytes.Equal(checksum(secret), sum) {
		return nil, errIdentity
	}
	key, err := hpke.MLKEM768X25519().NewPrivateKey(secret)
	if err != nil {
		return nil, errIdentity
	}
	return &Identity{key: key}, nil
}

// checksum tells a damaged identity from a whole one. It protects from accidents alone.
func checksum(secret []byte) []byte {
	h := sha256.New()
	h.Write([]byte(identityPrefix))
	h.Write(secret)
	return h.Sum(nil)[:checksumSize]
}
