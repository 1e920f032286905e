// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package stored

import (
	"bytes"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// encryptedPrefix is what all encrypted values begin with, and no other.
const encryptedPrefix = "k8s:enc:"

// maxInterned bounds how many names a Reader remembers. A cluster has a handful of keys; with more, each is a new string.
const maxInterned = 1024

// Reader reads the marks of many values. It remembers the names that it has met, so that reading a value of a key that
// was met before allocates nothing. The zero Reader is ready. It must not be used by two goroutines at once.
type Reader struct {
	names map[string]string
}

// Read tells what a value says of itself. It takes any bytes, and keeps nothing of them but names.
func Read(value []byte) Mark { return new(Reader).Read(value) }

// Read tells what a value says of itself. It takes any bytes, and keeps nothing of them but names.
func (r *Reader) Read(value []byte) Mark {
	if rest, ok := cutPrefix(value, encryptedPrefix); ok {
		return r.encrypted(rest)
	}
	encoding, body := encodingOf(value)
	if encoding == none {
		return Mark{Form: Undecodable}
	}
	return Mark{Form: Plaintext, Provider: encconfig.Identity, Damaged: !complete(encoding, body)}
}

// encrypted reads what follows "k8s:enc:".
func (r *Reader) encrypted(rest []byte) Mark {
	name, rest, ok := cutName(rest, maxWord)
	if !ok || !isWord(name) {
		return Mark{Form: Undecodable}
	}
	provider, known := providerOf(name)
	version, payload, ok := cutName(rest, maxWord)
	ok = ok && isVersion(version)
	switch {
	case !known && !ok: // whatever follows such a provider
		return Mark{Form: Unknown, Provider: encconfig.Provider(r.intern(name))}
	case !known:
		return Mark{Form: Unknown, Provider: encconfig.Provider(r.intern(name)), Version: r.intern(version)}
	case !ok:
		return Mark{Form: Undecodable}
	case string(version) == "v1":
		return r.keyed(Mark{Form: Encrypted, Provider: provider, Version: "v1"}, payload)
	case string(version) == "v2" && provider == encconfig.KMS:
		return r.keyed(Mark{Form: Encrypted, Provider: provider, Version: "v2"}, payload)
	default:
		return Mark{Form: Unknown, Provider: provider, Version: r.intern(version)}
	}
}

// keyed reads the name of the key and what follows it.
func (r *Reader) keyed(m Mark, rest []byte) Mark {
	name, payload, ok := cutName(rest, MaxName)
	if !ok || len(name) == 0 {
		m.Damaged = true
		return m
	}
	m.Key = r.intern(name)
	if m.Provider == encconfig.KMS && m.Version == "v2" {
		id, sound := envelopeV2(payload)
		m.KeyID, m.Damaged = r.intern(id), !sound
		return m
	}
	m.Damaged = !Possible(m.Provider, payload)
	return m
}

// intern gives the name as a string that shares no memory with the value.
func (r *Reader) intern(name []byte) string {
	if known, ok := r.names[string(name)]; ok {
		return known
	}
	s := string(name)
	if r.names == nil {
		r.names = map[string]string{}
	}
	if len(r.names) < maxInterned {
		r.names[s] = s
	}
	return s
}

// maxWord bounds the name of a provider and of a version, in bytes.
const maxWord = 63

// isWord tells whether a name could be one of a provider: all that kube-apiserver ever had are lowercase letters.
func isWord(name []byte) bool {
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return len(name) > 0
}

// isVersion tells whether a name could be one of a version: "v1", "v2beta1".
func isVersion(name []byte) bool {
	return len(name) > 1 && name[0] == 'v' && name[1] >= '0' && name[1] <= '9' && isWord(name)
}

func providerOf(name []byte) (encconfig.Provider, bool) {
	switch string(name) {
	case string(encconfig.AESGCM):
		return encconfig.AESGCM, true
	case string(encconfig.AESCBC):
		return encconfig.AESCBC, true
	case string(encconfig.Secretbox):
		return encconfig.Secretbox, true
	case string(encconfig.KMS):
		return encconfig.KMS, true
	default:
		return "", false
	}
}

// cutName cuts a name of at most limit bytes and the ':' that ends it.
func cutName(b []byte, limit int) (name, rest []byte, ok bool) {
	end := bytes.IndexByte(b[:min(len(b), limit+1)], ':')
	if end < 0 {
		return nil, nil, false
	}
	return b[:end], b[end+1:], true
}

func cutPrefix(b []byte, prefix string) ([]byte, bool) {
	if len(b) < len(prefix) || string(b[:len(prefix)]) != prefix {
		return nil, false
	}
	return b[len(prefix):], true
}
