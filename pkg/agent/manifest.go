// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"io/fs"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/staticpod"
)

// maxManifest is the longest manifest in bytes that is read.
const maxManifest = 1 << 20

func openManifests(dir string, owner int, before func(operation) error) (*folder, error) {
	return openFolder(dir, "manifests", owner, before)
}

// describeManifest tells what the manifest of the node's kube-apiserver says, and how its last edit went. It is nil
// where the agent was not given the folder.
func (s *Server) describeManifest() *agentapi.Manifest {
	if s.ManifestDir == "" {
		return nil
	}
	f, err := openManifests(s.ManifestDir, s.Owner, s.before)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	m := &agentapi.Manifest{}
	if err != nil {
		m.Problem = coded(err, agentapi.Unreadable)
		return m
	}
	defer f.close()
	if file, err := f.read(s.ManifestName, maxManifest); err != nil {
		m.Problem = coded(manifestUnreadable(err), agentapi.Unreadable)
	} else {
		m.Digest = encconfig.Digest(file.data)
		m.Encryption, err = encryptionOf(file.data)
		if err != nil {
			m.Problem = coded(err, agentapi.Invalid)
		}
	}
	if m.Edit, err = s.lastEdit(f, m.Digest); err != nil && m.Problem == nil {
		m.Problem = coded(err, agentapi.Unreadable)
	}
	return m
}

func manifestUnreadable(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return failf(agentapi.Missing, "the manifest of the kube-apiserver is not there: %s", reason(err))
	}
	return failf(agentapi.Unreadable, "the manifest of the kube-apiserver can't be read: %s", reason(err))
}

// encryptionOf is what a manifest says. The messages of package staticpod are made to be shown.
func encryptionOf(manifest []byte) (staticpod.Encryption, error) {
	m, err := staticpod.Read(manifest)
	if err != nil {
		return staticpod.Encryption{}, failf(agentapi.Invalid, "the manifest of the kube-apiserver is not understood: %v", err)
	}
	return m.Encryption, nil
}

// lastEdit is the last edit that was handed to a guard, nil if there was none.
func (s *Server) lastEdit(manifests *folder, digest string) (*agentapi.Edit, error) {
	h, err := s.openHistory()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer h.close()
	j, _, err := h.guard()
	if err != nil || j == nil {
		return nil, err
	}
	_, err = manifests.root.Lstat(guardManifestName)
	edit := j.seen(err == nil, digest, s.Now())
	return &edit, nil
}

// lateness is how long after the time by which it must have begun a guard may still be about to begin.
const lateness = time.Minute

// seen is the edit as it is to be told: one whose guard is gone, or has not begun in time and will not begin any more,
// is not under way, whatever the journal says.
func (j guardJournal) seen(guardThere bool, digest string, now time.Time) agentapi.Edit {
	e := j.Edit
	if e.Stage.Final() {
		return e
	}
	switch late := j.Before == nil && now.After(j.StartBy.Add(lateness)); {
	case guardThere && late && digest == e.From:
		e.Stage, e.Reason = agentapi.EditRefused, "the guard was not started in time"
	case guardThere:
	case digest == e.From:
		e.Stage, e.Reason = agentapi.EditRefused, "the guard was gone before it was done, and the manifest is as it was before"
	default:
		e.Stage, e.Reason = agentapi.EditAbandoned, "the guard was gone before it was done, and the manifest is not as it was before"
	}
	return e
}
