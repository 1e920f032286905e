// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package stored

import (
	"encoding/binary"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// What the providers add to an object, in bytes.
const (
	gcmOverhead       = 12 + 16 // nonce and tag
	secretboxOverhead = 24 + 16 // nonce and tag
	blockSize         = 16      // of AES in CBC mode: the initialization vector has one, the object at least one
	seedInfo          = 32      // stands before the nonce where a seed makes the data key
)

// Possible tells whether what follows the whole prefix, that of a local provider or of KMS v1, could be a value of the
// provider, by its length.
func Possible(p encconfig.Provider, payload []byte) bool {
	switch p {
	case encconfig.AESGCM:
		return len(payload) > gcmOverhead
	case encconfig.AESCBC:
		return len(payload) >= 2*blockSize && len(payload)%blockSize == 0
	case encconfig.Secretbox:
		return len(payload) > secretboxOverhead
	case encconfig.KMS:
		return envelopeV1(payload)
	default:
		return false
	}
}

// envelopeV1 tells whether a payload could be one of KMS v1. What CBC wrote is longer than what GCM has to be.
func envelopeV1(payload []byte) bool {
	if len(payload) < 2 {
		return false
	}
	dataKey := int(binary.BigEndian.Uint16(payload))
	return dataKey > 0 && len(payload)-2-dataKey > gcmOverhead
}

// The fields of an EncryptedObject, and how its data key is made.
const (
	fieldData        = 1
	fieldKeyID       = 2
	fieldSource      = 3
	fieldAnnotations = 4
	fieldSourceType  = 5

	sourceIsKey  = 0
	sourceIsSeed = 1

	maxSource = 1024
)

// envelopeV2 gives the id of the key of a payload of KMS v2, and whether the payload could be a value. The id is a part
// of the payload, empty where it can't be told or is longer than MaxKeyID.
func envelopeV2(payload []byte) (id []byte, sound bool) {
	var data, source []byte
	var sourceType int32
	sound = eachField(payload, func(number protowire.Number, kind protowire.Type, bytes []byte, n uint64) bool {
		switch {
		case number == fieldSourceType && kind == protowire.VarintType:
			sourceType = int32(n) //nolint:gosec // protobuf's enums are cut to 32 bits
		case kind != protowire.BytesType:
		case number == fieldData:
			data = bytes
		case number == fieldKeyID:
			id = bytes
			return utf8.Valid(bytes)
		case number == fieldSource:
			source = bytes
		case number == fieldAnnotations:
			return isAnnotation(bytes)
		}
		return true
	})
	if !sound || len(id) == 0 || len(id) > MaxKeyID {
		return nil, false
	}
	overhead := gcmOverhead
	if sourceType == sourceIsSeed {
		overhead += seedInfo
	}
	known := sourceType == sourceIsKey || sourceType == sourceIsSeed
	return id, known && len(data) > overhead && len(source) > 0 && len(source) <= maxSource
}

// isAnnotation tells whether bytes are an entry of a map from a string to bytes.
func isAnnotation(entry []byte) bool {
	return eachField(entry, func(number protowire.Number, kind protowire.Type, bytes []byte, _ uint64) bool {
		return number != 1 || kind != protowire.BytesType || utf8.Valid(bytes)
	})
}

// eachField calls visit for the fields of a message in protobuf, with the bytes of a field of bytes and the number of a
// varint. It tells whether the message is well-formed to its end and visit took all fields.
func eachField(message []byte, visit func(number protowire.Number, kind protowire.Type, bytes []byte, n uint64) bool) bool {
	for len(message) > 0 {
		number, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return false
		}
		message = message[size:]
		var bytes []byte
		var n uint64
		switch kind {
		case protowire.BytesType:
			bytes, size = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(message)
		default:
			size = protowire.ConsumeFieldValue(number, kind, message)
		}
		if size < 0 || !visit(number, kind, bytes, n) {
			return false
		}
		message = message[size:]
	}
	return true
}
