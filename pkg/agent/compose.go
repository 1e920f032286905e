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

// compose makes a configuration for each node that is asked for and seals it. Nothing on the node changes.
//
// What is sealed is bound to the node that it is for and to the digest of what it replaces there, so no installation can
// put it in the place of anything else.
func (s *Server) compose(c agentapi.Composition) (*agentapi.Composed, error) {
	base, err := s.documentOf(c.Base)
	if err != nil {
		return nil, err
	}
	exported, err := s.openKeys(c.Exported)
	if err != nil {
		return nil, err
	}
	own, err := s.documents()
	if err != nil {
		return nil, err
	}
	material := func(k encconfig.Key) (keys.Secret, bool) {
		if secret, ok := secretIn(own, k); ok {
			return secret, true
		}
		secret, ok := exported[k]
		return secret, ok
	}
	composed := &agentapi.Composed{Configs: map[string]encconfig.Description{}, Sealed: map[string][]byte{}}
	for _, w := range c.Wanted {
		doc, err := base.Become(w.Rules, material)
		if errors.Is(err, encconfig.ErrRefused) {
			return nil, failf(agentapi.BadRequest, "node %s: %v", w.Node, err)
		}
		if err != nil {
			return nil, failf(agentapi.Invalid, "the composed configuration of node %s would not be understood: %v", w.Node, err)
		}
		one, err := s.sealTo(agentapi.Proposal{From: w.From, Recipients: map[string][]byte{w.Node: w.PublicKey}}, doc)
		if err != nil {
			return nil, err
		}
		composed.Configs[w.Node], composed.Sealed[w.Node] = one.Config, one.Sealed[w.Node]
	}
	return composed, nil
}

// openKeys opens what agents of other nodes have exported to this one.
func (s *Server) openKeys(list []agentapi.Exported) (map[encconfig.Key]keys.Secret, error) {
	found := map[encconfig.Key]keys.Secret{}
	for _, e := range list {
		opened, err := s.identity.Open(exportContext(s.Run, s.Node, e), e.Sealed)
		if err != nil {
			return nil, failf(agentapi.NotSealed, "the keys of node %s can't be opened: %v", e.Node, seal.ErrNotSealed)
		}
		secrets, err := parseKeys(opened)
		clear(opened)
		if err != nil || len(secrets) != len(e.Keys) {
			return nil, failf(agentapi.NotSealed, "the keys of node %s are not those that were announced", e.Node)
		}
		for i, k := range e.Keys {
			if secrets[i].Fingerprint(string(k.Provider), k.Name) != k.Fingerprint {
				return nil, failf(agentapi.NotSealed, "the keys of node %s are not those that were announced", e.Node)
			}
			found[k] = secrets[i]
		}
	}
	return found, nil
}

// documents are the node's file and its history, from the newest on, as far as they are understood.
func (s *Server) documents() ([]*encconfig.Document, error) {
	var list []*encconfig.Document
	if file, err := s.readConfig(); err == nil {
		if doc, err := encconfig.Parse(file.data); err == nil {
			list = append(list, doc)
		}
		clear(file.data)
	}
	h, err := s.openHistory()
	if errors.Is(err, fs.ErrNotExist) {
		return list, nil
	}
	if err != nil {
		return nil, historyProblem(err)
	}
	defer h.close()
	kept, err := h.documents()
	return append(list, kept...), historyProblem(err)
}

// documents are the configurations of the history that are understood, from the newest on.
func (h history) documents() ([]*encconfig.Document, error) {
	revisions, err := h.revisions()
	if err != nil {
		return nil, err
	}
	var list []*encconfig.Document
	for _, r := range slices.Backward(revisions) {
		file, err := h.read(r.fileName(), encconfig.MaxSize)
		if err != nil {
			continue // what can be read is not lost by what can't; the state tells of it
		}
		if doc, err := encconfig.Parse(file.data); err == nil {
			list = append(list, doc)
		}
		clear(file.data)
	}
	return list, nil
}

// documentOf is the configuration with a digest, from the node's file or its history.
func (s *Server) documentOf(digest string) (*encconfig.Document, error) {
	list, err := s.documents()
	if err != nil {
		return nil, err
	}
	for _, doc := range list {
		if doc.Describe().Digest == digest {
			return doc, nil
		}
	}
	return nil, failf(agentapi.Changed, "the configuration %s is neither the file of this node nor in its history any more", digest)
}

func secretIn(list []*encconfig.Document, k encconfig.Key) (keys.Secret, bool) {
	for _, doc := range list {
		if secret, ok := doc.Secret(k); ok {
			return secret, true
		}
	}
	return keys.Secret{}, false
}
