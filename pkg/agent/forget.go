// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// forget removes every revision that holds one of some keys, which are then nowhere on this node. Either all of them can go or
// none goes:
//
//  1. The file has the expected digest and none of the keys. An installation that was interrupted is ended first, if it was to or from
//     this file: the others then see to the rest, and nobody would end it else.
//  2. Every revision is understood: what is not may hold any key.
//  3. Whatever other keys the revisions hold is in the file or in a revision that stays.
//
// The marks are raised before anything goes, so that no name comes back. It may be ended anywhere, and run again: each removal
// leaves the rest as it was.
func (s *Server) forget(f agentapi.Forgetting) error {
	h, err := s.openHistory()
	if err != nil {
		return writeFailed(err)
	}
	defer h.close()
	unlock, err := h.lock()
	if errors.Is(err, errBusy) {
		return failf(agentapi.Changed, "another agent is installing a configuration on this node")
	}
	if err != nil {
		return writeFailed(err)
	}
	defer unlock()
	if err := s.conclude(h, f.From); err != nil {
		return err
	}
	going, marks, err := s.forgettable(h, f)
	if err != nil {
		return err
	}
	if err := h.raise(marks...); err != nil {
		return writeFailed(err)
	}
	for _, r := range going {
		if err := h.remove(r.fileName()); err != nil {
			return writeFailed(err)
		}
	}
	if err := h.sync(); err != nil {
		return writeFailed(err)
	}
	return nil
}

// conclude ends an installation that was interrupted, if the file is one that it knows: it is made durable, and what was left beside it,
// which may hold a key, is removed.
func (s *Server) conclude(h history, digest string) error {
	left, err := h.interrupted()
	if err != nil {
		return failf(agentapi.Invalid, "the journal of this node is not understood: %s", reason(err))
	}
	if left == nil {
		return nil
	}
	if _, err := s.expected(digest); err != nil {
		return err
	}
	if digest != left.From && digest != left.To {
		return failf(agentapi.BadRequest, "an installation on this node was interrupted, and was about another configuration than the one that is in place; it has to end first")
	}
	config, err := s.openConfig()
	if err != nil {
		return unreadable(err)
	}
	defer config.close()
	i := &installation{config: config, history: h, name: s.ConfigName}
	for _, do := range []func() error{i.sweep, func() error { return config.syncFile(s.ConfigName) }, config.sync, h.done} {
		if err := do(); err != nil {
			return writeFailed(err)
		}
	}
	return nil
}

// forgettable are the revisions that go, and what the marks have to cover. It changes nothing.
func (s *Server) forgettable(h history, f agentapi.Forgetting) (going []revision, marks []encconfig.Description, err error) {
	doc, err := s.expected(f.From)
	if err != nil {
		return nil, nil, err
	}
	current := doc.Describe()
	wanted := func(k encconfig.Key) bool { return slices.Contains(f.Keys, k) }
	if at := slices.IndexFunc(current.Keys(), wanted); at >= 0 {
		return nil, nil, failf(agentapi.BadRequest, "key %s is in the configuration of this node", current.Keys()[at])
	}
	list, err := h.revisions()
	if err != nil {
		return nil, nil, unreadable(err)
	}
	held, marks := current.Keys(), []encconfig.Description{current}
	var others []encconfig.Key
	for _, r := range list {
		file, err := h.read(r.fileName(), encconfig.MaxSize)
		if err != nil {
			return nil, nil, failf(agentapi.Unreadable, "revision %d (%s) can't be read, and may hold the key: %s", r.number, r.onNode(), reason(err))
		}
		d := describe(file.data)
		clear(file.data)
		if len(d.Rules) == 0 {
			return nil, nil, failf(agentapi.Invalid, "revision %d is not understood, and may hold the key: look at %s there, and remove it if nothing in it is needed", r.number, r.onNode())
		}
		marks = append(marks, d)
		if !slices.ContainsFunc(d.Keys(), wanted) {
			held = append(held, d.Keys()...)
			continue
		}
		going, others = append(going, r), append(others, d.Keys()...)
	}
	for _, k := range others {
		if !wanted(k) && !slices.Contains(held, k) {
			return nil, nil, failf(agentapi.BadRequest, "key %s is only in revisions that hold the key too, and would be lost with it", k)
		}
	}
	return going, marks, nil
}

func checkForgetting(f agentapi.Forgetting) error {
	if !digestPattern.MatchString(f.From) {
		return failf(agentapi.BadRequest, "the request does not say which configuration is in place")
	}
	whole := func(k encconfig.Key) bool { return k.Provider.Local() && k.Name != "" && k.Fingerprint != "" }
	if len(f.Keys) == 0 || slices.ContainsFunc(f.Keys, func(k encconfig.Key) bool { return !whole(k) }) {
		return failf(agentapi.BadRequest, "the request does not name keys by provider, name and fingerprint")
	}
	return nil
}
