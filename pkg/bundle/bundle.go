// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bundle is a sealed configuration on its way to a node that no agent's Job can be started on, as text.
//
// A control-plane node that is about to join needs the configuration before its kube-apiserver starts; so does one
// whose kube-apiserver is down. There somebody runs the agent by hand: it prints a public key (a recipient), the
// plugin has an agent on a healthy node seal the configuration to it, and the agent opens the bundle.
//
// Everything that the text says beside the sealed bytes is bound to them: the context that they are sealed for (see
// package seal) holds the run and the digest, and as recipient SealedFor, which stands for all the rest. A relay that
// changes the path, or any other word, has a bundle that does not open.
//
// The package is pure and imports the standard library alone.
package bundle

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"time"
)

// Life is how long a bundle may be used. A rotation meanwhile makes it out of date, so it is short; another one is
// soon made.
const Life = 24 * time.Hour

// DefaultLabel is the label of a bundle for a node that has no name yet.
const DefaultLabel = "join"

// Bundle is a sealed configuration and what it is.
type Bundle struct {
	// Path of the configuration on the node.
	Path string
	// Digest that the opened configuration must have.
	Digest string
	// Run that has sealed it.
	Run string
	// Label is what its maker calls it, such as the name of the node.
	Label string
	// Recipient is the fingerprint of the public key that it is sealed to.
	Recipient string
	// Made and Expires are by the cluster's clock, to the second.
	Made, Expires time.Time
	// Sealed is the configuration.
	Sealed []byte
}

// New makes a bundle that holds nothing yet.
func New(file, digest, run, label string, publicKey []byte, now time.Time) Bundle {
	made := now.UTC().Truncate(time.Second)
	return Bundle{
		Path: file, Digest: digest, Run: run, Label: label, Recipient: Fingerprint(publicKey),
		Made: made, Expires: made.Add(Life),
	}
}

// SealedFor is the name of the recipient that the configuration is sealed for: the label, and a digest of all that
// the context does not hold otherwise. It reads like the name of a node.
func (b Bundle) SealedFor() string {
	h := sha256.New()
	for _, part := range []string{"kubectl-encryption bundle v1", b.Path, b.Recipient, stamp(b.Made), stamp(b.Expires)} {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write([]byte(part))
	}
	return b.Label + "." + hex.EncodeToString(h.Sum(nil))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

var (
	labelPattern  = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9.-]{0,126}[a-z0-9])?$`)
	runPattern    = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)
	digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	pathPattern   = regexp.MustCompile(`^(?:/[A-Za-z0-9._-]+){1,64}$`)
)

// CheckLabel tells whether a bundle may be called so.
func CheckLabel(label string) error {
	if !labelPattern.MatchString(label) {
		return fmt.Errorf("%q is not the name of a node: at most 128 lower-case letters, digits, '-' and '.'", label)
	}
	return nil
}

// check refuses what no bundle may say.
func (b Bundle) check() error {
	switch {
	case !pathPattern.MatchString(b.Path) || path.Clean(b.Path) != b.Path || len(b.Path) > 1024:
		return fmt.Errorf("%q is not the plain, absolute path of a file", b.Path)
	case !digestPattern.MatchString(b.Digest):
		return fmt.Errorf("%q is not a digest", b.Digest)
	case !runPattern.MatchString(b.Run):
		return fmt.Errorf("%q is not the identifier of a run", b.Run)
	case !digestPattern.MatchString(b.Recipient):
		return fmt.Errorf("%q is not the fingerprint of a recipient", b.Recipient)
	case !b.Expires.After(b.Made):
		return fmt.Errorf("it expires before it was made")
	case len(b.Sealed) == 0:
		return fmt.Errorf("it holds nothing")
	}
	return CheckLabel(b.Label)
}
