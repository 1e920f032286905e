// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package seal closes a message so that one agent alone can open it, in one run and for one purpose.
//
// It is HPKE (RFC 9180) as the standard library has it, with the post-quantum hybrid ML-KEM-768 with X25519: what is
// recorded on its way today stays closed when X25519 falls. The identity that opens lives as long as its process; only
// one of a node that is yet to join is written down, readable by root alone, until the message has come.
// The suite is fixed by the version in the first byte; there is nothing to negotiate.
//
// A sealed message is the version byte, the encapsulated key (1120 bytes) and the ciphertext with its tag. The
// Context goes into HPKE's info: it is not sent, both sides must say the same. That stops a relay that changes,
// reorders, replays or redirects messages. It does not prove who sealed: whoever may give an agent its requests may
// also seal to it.
//
// The package is pure and imports the standard library alone.
package seal

import (
	"crypto/hpke"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Version is the first byte of every sealed message.
const Version = 1

// label keeps these messages apart from any other use of the same construction.
const label = "kubectl-encryption seal v1"

// ErrNotSealed is all that Open says about a message that it can't open: changed, cut, of another version, of
// another context, or meant for another identity.
var ErrNotSealed = errors.New("the message is not sealed for this agent, this run and this change")

// Context is what a message is sealed for. Open needs the very same.
type Context struct {
	// Run identifies the run that the message belongs to.
	Run string
	// Recipient is the node of the agent that may open it, or what else a message is bound to that goes to no agent.
	Recipient string
	// From is the digest of the configuration that the sealed one was made from.
	From string
	// To is the digest of the sealed configuration.
	To string
}

// info writes the context such that two different ones never read the same: each part goes after its length.
func (c Context) info() []byte {
	info := []byte(label)
	for _, part := range []string{c.Run, c.Recipient, c.From, c.To} {
		info = binary.BigEndian.AppendUint32(info, uint32(len(part))) //nolint:gosec // names and digests are far shorter than 4 GiB
		info = append(info, part...)
	}
	return info
}

// Identity opens what was sealed to its public key.
type Identity struct {
	key hpke.PrivateKey
}

// NewIdentity makes an identity for this process.
func NewIdentity() (*Identity, error) {
	key, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("generate identity: %w", err)
	}
	return &Identity{key: key}, nil
}

// PublicKey is what others seal to.
func (i *Identity) PublicKey() []byte { return i.key.PublicKey().Bytes() }

// Format implements fmt.Formatter, so that no verb reaches the private key.
func (*Identity) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "REDACTED") }

// Seal closes a message for the holder of a public key and for a context.
func Seal(publicKey []byte, c Context, message []byte) ([]byte, error) {
	recipient, err := hpke.MLKEM768X25519().NewPublicKey(publicKey)
	if err != nil {
		return nil, fmt.Errorf("read public key of %q: %w", c.Recipient, err)
	}
	closed, err := hpke.Seal(recipient, hpke.HKDFSHA256(), hpke.AES256GCM(), c.info(), message)
	if err != nil {
		return nil, fmt.Errorf("seal to %q: %w", c.Recipient, err)
	}
	return append([]byte{Version}, closed...), nil
}

// Open gives the message that was sealed to this identity for this context, and ErrNotSealed in every other case.
func (i *Identity) Open(c Context, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != Version {
		return nil, ErrNotSealed
	}
	message, err := hpke.Open(i.key, hpke.HKDFSHA256(), hpke.AES256GCM(), c.info(), sealed[1:])
	if err != nil {
		return nil, ErrNotSealed
	}
	return message, nil
}
