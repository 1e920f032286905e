// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/base64"
	"encoding/json"
	"errors"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/seal"
)

// export seals keys of this node to the agent of another. Nothing on the node changes.
func (s *Server) export(e agentapi.Exporting) (*agentapi.Exported, error) {
	list, err := s.documents()
	if err != nil {
		return nil, err
	}
	var encoded []string
	for _, k := range e.Keys {
		secret, ok := secretIn(list, k)
		if !ok {
			return nil, failf(agentapi.Changed, "key %s is neither in the file of this node nor in its history any more", k)
		}
		encoded = append(encoded, secret.Base64())
	}
	message, err := json.Marshal(encoded)
	if err != nil {
		return nil, failf(agentapi.BadRequest, "the keys can't be encoded")
	}
	defer clear(message)
	exported := &agentapi.Exported{Node: s.Node, Keys: e.Keys}
	exported.Sealed, err = seal.Seal(e.PublicKey, exportContext(s.Run, e.Recipient, *exported), message)
	if err != nil {
		return nil, failf(agentapi.BadRequest, "node %s has no valid public key", e.Recipient)
	}
	return exported, nil
}

// exportContext binds exported keys to the run, to both nodes, and to what is said of them in clear. What is exported
// can't be taken for a configuration: a configuration's context names digests alone.
func exportContext(run, recipient string, e agentapi.Exported) seal.Context {
	named, err := json.Marshal(e.Keys)
	if err != nil {
		named = nil // strings alone: it can be encoded
	}
	return seal.Context{Run: run, Recipient: recipient, From: "keys of " + e.Node, To: encconfig.Digest(named)}
}

// errKeys is all that is said of exported keys that are not understood: what was opened may be key material.
var errKeys = errors.New("these are not exported keys")

// parseKeys reads what export has sealed.
func parseKeys(message []byte) ([]keys.Secret, error) {
	var encoded []string
	if err := json.Unmarshal(message, &encoded); err != nil {
		return nil, errKeys
	}
	list := make([]keys.Secret, len(encoded))
	for i, text := range encoded {
		raw, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil {
			return nil, errKeys
		}
		list[i] = keys.New(raw)
	}
	return list, nil
}
