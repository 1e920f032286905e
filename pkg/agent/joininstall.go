// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/bundle"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/seal"
)

// Installed is what became of a bundle.
type Installed struct {
	// Path and Digest of the configuration that is in place.
	Path, Digest string
	// Already: it was in place before.
	Already bool
	// Replaced is the digest of what was there before, empty if nothing was. It stays in the history.
	Replaced string
	// Lacking are the keys that it had and the present one has not.
	Lacking []encconfig.Key
	// Runs: the machine has a manifest of a kube-apiserver, so it has joined already.
	Runs bool
}

// Install opens a bundle and puts its configuration in place, by the same steps as the agent of a Job. Until it has
// opened the bundle and found everything in order it changes nothing. The identity goes at the end.
func (m Machine) Install(text []byte) (Installed, error) {
	if err := m.checkUser(); err != nil {
		return Installed{}, err
	}
	b, err := bundle.Parse(text)
	if err != nil {
		return Installed{}, err
	}
	if err := errors.Join(m.checkPath(b.Path), m.checkFolder(path.Dir(b.Path))); err != nil {
		return Installed{}, err
	}
	before, err := m.there(b)
	if err != nil {
		return Installed{}, err
	}
	result := Installed{Path: b.Path, Digest: b.Digest, Already: before.Digest == b.Digest, Runs: m.runs()}
	identity, err := m.identityFor(b)
	if errors.Is(err, errNoIdentity) && result.Already {
		return result, nil
	}
	if err != nil {
		return Installed{}, err
	}
	after, err := m.put(b, identity, before.Digest)
	if err != nil {
		return Installed{}, told(err)
	}
	if !result.Already {
		result.Replaced, result.Lacking = before.Digest, lacking(before, after)
	}
	if err := m.forget(identity); err != nil {
		return result, fmt.Errorf("%s is in place, but the identity is not removed: %w", b.Path, err)
	}
	return result, nil
}

// there describes what is in the configuration's place, with an empty digest if nothing is.
func (m Machine) there(b bundle.Bundle) (encconfig.Description, error) {
	dir, name := path.Split(b.Path)
	f, err := openFolder(m.at(dir), "config", m.Owner, m.before)
	if errors.Is(err, fs.ErrNotExist) {
		return encconfig.Description{}, nil
	}
	if err != nil {
		return encconfig.Description{}, told(err)
	}
	defer f.close()
	file, err := f.read(name, encconfig.MaxSize)
	defer clear(file.data)
	if errors.Is(err, fs.ErrNotExist) {
		return encconfig.Description{}, nil
	}
	if err != nil {
		return encconfig.Description{}, fmt.Errorf("what is at %s can't be replaced: %w", b.Path, told(err))
	}
	return describe(file.data), nil
}

// identityFor is the machine's identity, if the bundle is for it and may still be used.
func (m Machine) identityFor(b bundle.Bundle) (*seal.Identity, error) {
	missing := fmt.Errorf("%w: run encryption-agent recipient first, and have the bundle made for what it prints", errNoIdentity)
	h, err := m.openHistory()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missing
	}
	if err != nil {
		return nil, told(err)
	}
	defer h.close()
	identity, err := h.identity()
	if errors.Is(err, errNoIdentity) {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	if own := fingerprint(identity); own != b.Recipient {
		return nil, fmt.Errorf("the bundle is for another recipient: it was made for %s, and this machine is %s", b.Recipient, own)
	}
	if !m.Now().Before(b.Expires) {
		return nil, fmt.Errorf("the bundle expired at %s, and keys may have been rotated since: have another one made with %s join",
			b.Expires.Format("2006-01-02 15:04:05 MST"), project.Command)
	}
	return identity, nil
}

// put opens the bundle, makes the folders and installs. The context that the bundle was sealed for is that of a copy,
// made from itself, see Server.open.
func (m Machine) put(b bundle.Bundle, identity *seal.Identity, from string) (encconfig.Description, error) {
	dir, name := path.Split(b.Path)
	s, err := New(Options{
		Node: b.SealedFor(), Run: b.Run, ConfigDir: m.at(dir), ConfigName: name, HistoryDir: m.at(project.NodeHistoryDir),
		Owner: m.Owner, Now: m.Now,
	})
	if err != nil {
		return encconfig.Description{}, plainf("the bundle can't be used: %v", err)
	}
	s.identity, s.before = identity, m.before
	req := agentapi.Installation{From: from, To: b.Digest, Sealed: b.Sealed}
	data, desc, err := s.open(req)
	if err != nil {
		if coded(err, "").Code == agentapi.NotSealed {
			return desc, plainf("the bundle does not open: what it says, or holds, was changed since it was made")
		}
		return desc, err
	}
	clear(data)
	if err := m.makeFolder(path.Clean(dir)); err != nil {
		return desc, err
	}
	if from != "" && from != b.Digest && m.runs() {
		// A kube-apiserver may have written with what was there, which nothing but the history will show.
		s.recordAs = RestoreRun
	}
	return desc, s.install(req)
}

// runs tells whether the kubelet of this machine was told to run a kube-apiserver.
func (m Machine) runs() bool {
	f, err := openFolder(m.at(project.NodeManifestDir), "manifest", m.Owner, nil)
	if err != nil {
		return false
	}
	defer f.close()
	_, err = f.root.Lstat(project.APIServerManifest)
	return err == nil
}

// lacking are the keys of one configuration that the other does not have: another key of the same name is none of them.
func lacking(before, after encconfig.Description) []encconfig.Key {
	var list []encconfig.Key
	for _, k := range before.Keys() {
		if !slices.Contains(after.Keys(), k) {
			list = append(list, k)
		}
	}
	return list
}
