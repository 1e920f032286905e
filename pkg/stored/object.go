// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package stored

import (
	"bytes"
	"encoding/json"
	"unicode"

	"google.golang.org/protobuf/encoding/protowire"
)

// encoding is how an object is written.
type encoding int

const (
	none encoding = iota
	protobuf
	jsonText
	cbor
)

// What objects begin with, but for JSON.
const (
	protobufPrefix = "k8s\x00"
	cborPrefix     = "\xd9\xd9\xf7" // "self-described CBOR", RFC 8949 section 3.4.6
)

// IsObject tells whether bytes are an object as kube-apiserver stores it: by the whole envelope in protobuf, by every byte in
// JSON, by how it begins in CBOR. It is all that tells a wrong key of aescbc, which has no tag: what such a key makes of a value
// has a fitting padding once in 256 times, and begins like an object once in 2^8 (JSON, which is then looked at whole), 2^27
// (CBOR) or 2^32 (protobuf).
func IsObject(plaintext []byte) bool {
	encoding, body := encodingOf(plaintext)
	return encoding != none && complete(encoding, body) && (encoding != jsonText || json.Valid(plaintext))
}

// encodingOf tells how an object is written by what it begins with, and gives what is written in it.
func encodingOf(value []byte) (encoding, []byte) {
	if body, ok := cutPrefix(value, protobufPrefix); ok {
		return protobuf, body
	}
	if body, ok := cutPrefix(value, cborPrefix); ok {
		return cbor, body
	}
	if body := bytes.TrimLeftFunc(value, unicode.IsSpace); len(body) > 0 && body[0] == '{' {
		return jsonText, body
	}
	return none, nil
}

// complete tells whether an object goes to its end, at a cost that does not grow with its size.
func complete(encoding encoding, body []byte) bool {
	switch encoding {
	case protobuf:
		return isUnknown(body)
	case cbor:
		const major, aMap = 0b111_00000, 0b101_00000
		return len(body) > 0 && body[0]&major == aMap
	default:
		end := bytes.TrimRightFunc(body, unicode.IsSpace)
		return end[len(end)-1] == '}'
	}
}

// isUnknown tells whether bytes are a runtime.Unknown, the envelope of every object in protobuf: its type, and the object
// itself as bytes (k8s.io/apimachinery@v0.37.2 pkg/runtime/generated.proto).
func isUnknown(body []byte) bool {
	const typeMeta, raw = 1, 2
	var found [raw + 1]bool
	sound := eachField(body, func(number protowire.Number, kind protowire.Type, _ []byte, _ uint64) bool {
		if kind == protowire.BytesType && number <= raw {
			found[number] = true
		}
		return true
	})
	return sound && found[typeMeta] && found[raw]
}
