// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/keys"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/seal"
)

// propose computes the configuration that follows from a change and seals it. Nothing on the node changes: a new
// key is nowhere but in the sealed messages, and gone with them. A key that comes back is taken from the history.
func (s *Server) propose(p agentapi.Proposal) (*agentapi.Proposed, error) {
	doc, err := s.expected(p.From)
	if err != nil {
		return nil, err
	}
	secret, err := s.addedKey(p.Change, doc.Describe())
	if err != nil {
		return nil, err
	}
	next, err := doc.Apply(p.Change, secret)
	if errors.Is(err, encconfig.ErrRefused) {
		return nil, failf(agentapi.BadRequest, "%v", err)
	}
	if err != nil {
		return nil, failf(agentapi.Invalid, "the changed configuration would not be understood: %v", err)
	}
	return s.sealTo(p, next)
}

// expected is the node's configuration, which must have the digest, or an empty one where there must be no file.
func (s *Server) expected(digest string) (*encconfig.Document, error) {
	file, err := s.readConfig()
	if digest == "" && isMissing(err) {
		return encconfig.Empty(), nil
	}
	if err != nil {
		return nil, err
	}
	defer clear(file.data)
	if found := encconfig.Digest(file.data); found != digest {
		return nil, failf(agentapi.Changed, "the encryption configuration is %s, not what was expected", found)
	}
	return parseConfig(file.data)
}

func isMissing(err error) bool {
	known, ok := errors.AsType[*agentapi.Error](err)
	return ok && known.Code == agentapi.Missing
}

// addedKey is the key that a change adds, if it adds one that the configuration does not have: a new one, or the one of the
// history that the change knows by its fingerprint.
func (s *Server) addedKey(c encconfig.Change, current encconfig.Description) (keys.Secret, error) {
	switch {
	case !c.NewKey(current):
		return keys.Secret{}, nil
	case len(c.Keys) == 1 && c.Keys[0].Fingerprint != "":
		return s.formerKey(c.Keys[0])
	}
	return s.newKey(c, current)
}

// formerKey finds a key in the node's history, by provider, name and fingerprint.
func (s *Server) formerKey(k encconfig.Key) (keys.Secret, error) {
	missing := failf(agentapi.BadRequest, "the history of this node does not have key %s with the fingerprint %s", k, k.Fingerprint)
	h, err := s.openHistory()
	if errors.Is(err, fs.ErrNotExist) {
		return keys.Secret{}, missing
	}
	if err != nil {
		return keys.Secret{}, historyProblem(err)
	}
	defer h.close()
	list, err := h.revisions()
	if err != nil {
		return keys.Secret{}, historyProblem(err)
	}
	for _, r := range slices.Backward(list) {
		file, err := h.read(r.fileName(), encconfig.MaxSize)
		if err != nil {
			continue // another revision may have it
		}
		doc, err := encconfig.Parse(file.data)
		clear(file.data)
		if err != nil {
			continue
		}
		if secret, ok := doc.Secret(k); ok {
			return secret, nil
		}
	}
	return keys.Secret{}, missing
}

// newKey draws the key for a change that adds one, and refuses a name that any key of this node may have had: a
// stored value that asks for the old key must never meet the new one.
func (s *Server) newKey(c encconfig.Change, current encconfig.Description) (keys.Secret, error) {
	now := agentapi.State{Config: &current}
	if err := s.describeHistory(&now); err != nil {
		return keys.Secret{}, err
	}
	for _, k := range c.Keys {
		if keys.Number(k.Name) <= now.HighestKey {
			return keys.Secret{}, failf(agentapi.BadRequest, "the name of a new key must end in a number above %d: "+
				"lower ones were in use on this node", now.HighestKey)
		}
	}
	secret, err := keys.Generate(s.Random)
	if err != nil {
		return keys.Secret{}, failf(agentapi.Unreadable, "the node gave no random bytes for a new key")
	}
	return secret, nil
}

func (s *Server) sealTo(p agentapi.Proposal, doc *encconfig.Document) (*agentapi.Proposed, error) {
	desc := doc.Describe()
	data := doc.Bytes()
	defer clear(data)
	proposed := &agentapi.Proposed{Config: desc, Sealed: make(map[string][]byte, len(p.Recipients))}
	for node, publicKey := range p.Recipients {
		c := seal.Context{Run: s.Run, Recipient: node, From: p.From, To: desc.Digest}
		sealed, err := seal.Seal(publicKey, c, data)
		if err != nil {
			return nil, failf(agentapi.BadRequest, "node %s has no valid public key", node)
		}
		proposed.Sealed[node] = sealed
	}
	return proposed, nil
}

// open opens a sealed configuration and checks all that can be checked without the node's disk.
//
// A configuration that was changed by its proposal may replace nothing but what it was made from. A copy, which no
// change was made to, was made from itself, and may replace whatever the request says: that mends a node that has
// another file or none.
func (s *Server) open(i agentapi.Installation) ([]byte, encconfig.Description, error) {
	c := seal.Context{Run: s.Run, Recipient: s.Node, From: i.From, To: i.To}
	data, err := s.identity.Open(c, i.Sealed)
	if err != nil {
		c.From = i.To
		data, err = s.identity.Open(c, i.Sealed)
	}
	if err != nil {
		return nil, encconfig.Description{}, failf(agentapi.NotSealed, "%v", seal.ErrNotSealed)
	}
	if encconfig.Digest(data) != i.To {
		clear(data)
		return nil, encconfig.Description{}, failf(agentapi.NotSealed, "the sealed configuration is not the one that was announced")
	}
	doc, err := parseConfig(data)
	if err != nil {
		clear(data)
		return nil, encconfig.Description{}, err
	}
	return data, doc.Describe(), nil
}
