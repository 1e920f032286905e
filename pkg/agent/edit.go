// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/staticpod"
)

// startWithin is how long a guard may take from being called to its edit.
const startWithin = 2 * time.Minute

// apply is the manifest that an edit makes of another one.
func apply(manifest []byte, file string) ([]byte, error) {
	if file == "" {
		return staticpod.Disable(manifest)
	}
	return staticpod.Enable(manifest, file)
}

// planned is an edit that can be made: the manifest before and after.
type planned struct {
	from content
	to   []byte
}

// checkEdit tells whether the manifest can be edited as asked.
func (s *Server) checkEdit(e agentapi.ManifestEdit) error {
	f, err := s.openManifests()
	if err != nil {
		return err
	}
	defer f.close()
	_, err = s.plan(f, e)
	return err
}

func (s *Server) openManifests() (*folder, error) {
	if s.ManifestDir == "" {
		return nil, failf(agentapi.Missing, "the agent was not given the folder of the manifests")
	}
	f, err := openManifests(s.ManifestDir, s.Owner, s.before)
	if err != nil {
		return nil, manifestUnreadable(err)
	}
	return f, nil
}

// plan computes the edit and checks all that can be checked before it.
func (s *Server) plan(manifests *folder, e agentapi.ManifestEdit) (planned, error) {
	if e.File != "" && path.Base(e.File) != s.ConfigName {
		return planned{}, failf(agentapi.BadRequest, "the edit is for another file than the one that the agent was given")
	}
	file, err := manifests.read(s.ManifestName, maxManifest)
	if err != nil {
		return planned{}, manifestUnreadable(err)
	}
	if digest := encconfig.Digest(file.data); digest != e.From {
		return planned{}, failf(agentapi.Changed, "the manifest of the kube-apiserver is %s: it was changed by somebody else", digest)
	}
	if err := checkReachable(file.data); err != nil {
		return planned{}, err
	}
	if err := s.checkGroup(manifests); err != nil {
		return planned{}, err
	}
	to, err := apply(file.data, e.File)
	if err != nil {
		return planned{}, failf(agentapi.Invalid, "the manifest of the kube-apiserver can't be edited: %v", err)
	}
	return planned{from: file, to: to}, s.checkConfig(e)
}

// checkReachable makes sure that a guard can ask the kube-apiserver.
func checkReachable(manifest []byte) error {
	m, err := staticpod.Read(manifest)
	if err != nil {
		return failf(agentapi.Invalid, "the manifest of the kube-apiserver is not understood: %v", err)
	}
	if !m.HostNetwork {
		return failf(agentapi.Invalid, "the kube-apiserver does not use the network of its node, so nothing there could tell whether an edit works")
	}
	return nil
}

// checkGroup makes sure that the edited manifest can have the group of the one that is there: without capabilities
// nothing can be given away.
func (s *Server) checkGroup(manifests *folder) error {
	info, err := manifests.root.Lstat(s.ManifestName)
	if err != nil {
		return manifestUnreadable(callFailed(err, "look at %s", s.ManifestName))
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Gid) != os.Getegid() {
		return failf(agentapi.Invalid, "the manifest of the kube-apiserver does not have root's group, which an edit could not keep: chgrp 0 it")
	}
	return nil
}

// checkConfig makes sure that the configuration which the kube-apiserver is about to read is the expected one.
func (s *Server) checkConfig(e agentapi.ManifestEdit) error {
	if e.File == "" || e.Config == "" {
		return nil
	}
	file, err := s.readConfig()
	if err != nil {
		return err
	}
	defer clear(file.data)
	if digest := encconfig.Digest(file.data); digest != e.Config {
		return failf(agentapi.Changed, "the encryption configuration is %s: it was changed by somebody else", digest)
	}
	_, err = parseConfig(file.data)
	return err
}

// editManifest hands an edit to a guard. As with an installation, the process may die between any two system calls:
// the manifest is not touched, and an edit whose guard has no manifest of its own is none.
//
//  1. Take both locks: no other agent writes on this node, and no guard is at work.
//  2. Whatever an earlier guard left must be over.
//  3. The manifest must have the digest that the request expects, and the edit must be possible.
//  4. If there is nothing to edit, record that.
//  5. Sweep what an interrupted agent or a dead guard left.
//  6. Keep the configuration in the history, so that its keys are known when the guard shows a log.
//  7. Keep the manifest in the history, durably: the kubelet does not read that folder.
//  8. Write the journal, durably, with the room that it will need.
//  9. Put the guard's manifest in place, durably: temporary file, fsync, rename, fsync of the folder. The guard waits
//     for the lock, so until step 10 it has not begun.
//  10. Free the locks, and answer.
func (s *Server) editManifest(e agentapi.ManifestEdit) error {
	h, err := s.openHistory()
	if err != nil {
		return writeFailed(err)
	}
	defer h.close()
	f, err := s.openManifests()
	if err != nil {
		return err
	}
	defer f.close()
	unlock, err := lockBoth(h) // 1
	if err != nil {
		return err
	}
	defer unlock()                            // 10
	if err := s.checkOver(h, f); err != nil { // 2
		return err
	}
	p, err := s.plan(f, e) // 3
	if err != nil {
		return err
	}
	j := s.newJournal(e, p)
	if j.Edit.Stage.Final() { // 4
		return writeFailedIf(errors.Join(h.beginGuard(j), dismiss(f)))
	}
	if err := errors.Join(h.sweep(), sweepManifests(f, s.ManifestName)); err != nil { // 5
		return writeFailed(err)
	}
	if err := s.keepConfig(h); err != nil { // 6
		return writeFailed(err)
	}
	if j.Backup, err = h.keepManifest(p.from.data, s.Run, s.Now()); err != nil { // 7
		return writeFailed(err)
	}
	if err := h.beginGuard(j); err != nil { // 8
		return writeFailed(err)
	}
	if err := call(f, guardPod(e.Image, s.Run, s.Now())); err != nil { // 9
		return s.callOff(h, f, j, err)
	}
	return nil
}

func writeFailedIf(err error) error {
	if err == nil {
		return nil
	}
	return writeFailed(err)
}

func lockBoth(h history) (unlock func(), err error) {
	unlockHistory, err := h.lock()
	if errors.Is(err, errBusy) {
		return nil, failf(agentapi.Changed, "another agent is at work on this node")
	}
	if err != nil {
		return nil, writeFailed(err)
	}
	unlockGuard, err := h.folder.lock(guardLockName)
	if err != nil {
		unlockHistory()
		if errors.Is(err, errBusy) {
			return nil, failf(agentapi.Changed, "a guard is at work on this node")
		}
		return nil, writeFailed(err)
	}
	return func() { unlockGuard(); unlockHistory() }, nil
}

// checkOver refuses while a guard is called that has not ended.
func (s *Server) checkOver(h history, manifests *folder) error {
	j, _, err := h.guard()
	if err != nil {
		return failf(agentapi.Invalid, "the last edit of the manifest is not known: %s", reason(err))
	}
	if j == nil {
		return nil
	}
	digest := ""
	if file, err := manifests.read(s.ManifestName, maxManifest); err == nil {
		digest = encconfig.Digest(file.data)
	}
	_, err = manifests.root.Lstat(guardManifestName)
	if last := j.seen(err == nil, digest, s.Now()); !last.Stage.Final() {
		return failf(agentapi.Changed, "the guard of run %s has not ended on this node (%s)", last.Run, last.Stage)
	}
	return nil
}

func (s *Server) newJournal(e agentapi.ManifestEdit, p planned) guardJournal {
	j := guardJournal{
		Version: guardJournalVersion, Node: s.Node, File: e.File, RollbackAfter: e.RollbackAfter,
		StartBy: s.Now().Add(startWithin),
		Edit: agentapi.Edit{
			Run: s.Run, From: e.From, To: encconfig.Digest(p.to), Stage: agentapi.EditPrepared, Time: s.Now(),
		},
	}
	if j.Edit.From == j.Edit.To {
		j.Edit.Stage = agentapi.EditDone
	}
	return j
}

// keepConfig keeps the configuration that is there, if one is. One that can't be read has no part in an edit that does
// not ask for it.
func (s *Server) keepConfig(h history) error {
	file, err := s.readConfig()
	if err != nil {
		return nil // checkConfig has read it where it matters
	}
	defer clear(file.data)
	if err := h.raise(describe(file.data)); err != nil {
		return err
	}
	// The newest but one: after an interruption the newest is a successor that never came into place.
	_, err = h.record(file.data, s.Run, s.Now(), 2)
	return err
}

// call puts the manifest of a guard in place, so that the kubelet starts it.
func call(manifests *folder, pod []byte) error {
	if err := manifests.writeNew(guardTempName, pod); err != nil {
		return err
	}
	if err := manifests.rename(guardTempName, guardManifestName); err != nil {
		return err
	}
	return manifests.sync()
}

// dismiss takes a guard's manifest away, durably, so that the kubelet ends it.
func dismiss(manifests *folder) error {
	if _, err := manifests.root.Lstat(guardManifestName); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := manifests.remove(guardManifestName); err != nil {
		return err
	}
	return manifests.sync()
}

// callOff takes back what was prepared. A guard that has started already waits for the lock, and finds that it has
// nothing to do.
func (s *Server) callOff(h history, manifests *folder, j guardJournal, failure error) error {
	j.Edit.Stage, j.Edit.Time = agentapi.EditRefused, s.Now()
	j.Edit.Reason = fmt.Sprintf("the guard could not be called: %s", reason(failure))
	_ = h.noteGuard(firstNote, j) // without it the missing manifest says the same
	_ = manifests.remove(guardTempName)
	if err := dismiss(manifests); err != nil {
		return failf(agentapi.WriteFailed, "%s, and its manifest can't be removed: %s", j.Edit.Reason, reason(err))
	}
	return failf(agentapi.WriteFailed, "%s", j.Edit.Reason)
}

// firstNote is the sequence of the first note in a new journal.
const firstNote = 2
