// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/bundle"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/seal"
)

// Machine is the machine on which somebody runs the agent by hand: no Job can be started there, since it is about to
// join as a control-plane node, or its kube-apiserver is down.
//
// Between Recipient and Install it keeps an identity in the history folder, readable by root alone. The identity goes
// with the first bundle that is installed.
type Machine struct {
	// Root is the machine's file system: "/", but in tests.
	Root string
	// Owner is the user that must own the files, and run this: 0, but in tests. User is who runs it.
	Owner, User int
	// Folders are further ones, besides those below /etc/kubernetes, that a configuration may be put into.
	Folders []string
	// Now is the machine's clock.
	Now func() time.Time
	// before is nil outside tests, see folder.
	before func(operation) error
}

// identityName is the file of the identity in the history folder.
const identityName = "identity"

// errNoIdentity: nothing can be opened here.
var errNoIdentity = errors.New("there is no identity on this machine")

// at is where a path of the node is.
func (m Machine) at(path string) string { return filepath.Join(m.Root, path) }

func (m Machine) checkUser() error {
	if m.User != m.Owner {
		return errors.New("this must be run as root: the encryption configuration and the keys in it are root's alone")
	}
	return nil
}

// Recipient gives the machine's public key as one word. It makes an identity if there is none, or another one if
// renew is set; what was sealed to the former one can't be opened any more then.
func (m Machine) Recipient(renew bool) (string, error) {
	if err := m.checkUser(); err != nil {
		return "", err
	}
	if err := m.makeFolder(project.NodeHistoryDir); err != nil {
		return "", err
	}
	h, unlock, err := m.lockHistory()
	if err != nil {
		return "", err
	}
	defer h.close()
	defer unlock()
	identity, err := h.identity()
	if renew || errors.Is(err, errNoIdentity) {
		identity, err = h.newIdentity()
	}
	if err != nil {
		return "", err
	}
	return bundle.EncodeRecipient(identity.PublicKey()), nil
}

func (m Machine) openHistory() (history, error) {
	f, err := openFolder(m.at(project.NodeHistoryDir), "history", m.Owner, m.before)
	return history{folder: f}, err
}

func (m Machine) lockHistory() (h history, unlock func(), err error) {
	h, err = m.openHistory()
	if err != nil {
		return history{}, nil, told(err)
	}
	if unlock, err = h.lock(); err != nil {
		h.close()
		if errors.Is(err, errBusy) {
			return history{}, nil, errors.New("another agent works on this machine: try again when it has ended")
		}
		return history{}, nil, told(err)
	}
	return h, unlock, nil
}

// identity reads the identity that the machine keeps.
func (h history) identity() (*seal.Identity, error) {
	file, err := h.read(identityName, smallFile)
	defer clear(file.data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoIdentity
	}
	if err != nil {
		return nil, told(err)
	}
	identity, err := seal.ParseIdentity(file.data)
	if err != nil {
		return nil, fmt.Errorf("the file %s/%s is damaged: make another identity with recipient --new", project.NodeHistoryDir, identityName)
	}
	return identity, nil
}

// newIdentity makes an identity and keeps it, durably, before anybody is told its public key.
func (h history) newIdentity() (*seal.Identity, error) {
	if err := h.sweep(); err != nil {
		return nil, told(err)
	}
	identity, err := seal.NewIdentity()
	if err != nil {
		return nil, err
	}
	line, err := identity.Marshal()
	if err != nil {
		return nil, err
	}
	defer clear(line)
	if err := h.replace(identityName, line); err != nil {
		return nil, told(err)
	}
	return identity, nil
}

// forget removes an identity, if it still is the one that is kept.
func (m Machine) forget(used *seal.Identity) error {
	h, unlock, err := m.lockHistory()
	if err != nil {
		return err
	}
	defer h.close()
	defer unlock()
	kept, err := h.identity()
	if errors.Is(err, errNoIdentity) {
		return nil
	}
	if err != nil {
		return err
	}
	if fingerprint(kept) != fingerprint(used) {
		return nil // made meanwhile, for another bundle
	}
	if err := h.remove(identityName); err != nil {
		return told(err)
	}
	if err := h.sync(); err != nil {
		return told(err)
	}
	return nil
}

func fingerprint(i *seal.Identity) string { return bundle.Fingerprint(i.PublicKey()) }

// told is an error in the agent's own words: whatever else it carries may quote what was read.
func told(err error) error { return plain(reason(err)) }
