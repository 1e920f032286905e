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
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// Restoration is a configuration of the machine's history that can be put in its place, without any API server.
type Restoration struct {
	// Path of the configuration.
	Path string
	// Revision that is put there.
	Revision agentapi.Revision
	// Replaced is the digest of what is there, empty if nothing is. Problem says what is wrong with it.
	Replaced string
	Problem  string
	// Unclear: it is not understood, and a kube-apiserver may take it all the same.
	Unclear bool
	// Lacking are the keys that what is there has and the revision has not.
	Lacking []encconfig.Key
	// Skipped are newer revisions that are not understood, or can't be read.
	Skipped []int
	// Already: the revision is what is there.
	Already bool

	// there is what the file says, if it is understood.
	there encconfig.Description
}

// ErrNothingToRestore is returned where the configuration that is there is valid and no revision was asked for.
var ErrNothingToRestore = errors.New("the encryption configuration that is there is valid")

// ErrMayBeInUse is returned where what is there is not understood, a kube-apiserver may take it all the same, and no revision
// was asked for.
var ErrMayBeInUse = errors.New("a kube-apiserver may take the encryption configuration that is there, and run with it")

// RestoreRun is the run that a revision is recorded under which was put in place by hand.
const RestoreRun = agentapi.RestoreRun

// PlanRestore finds what Restore would do, without changing anything.
//
// Without a file the place is the one that the kube-apiserver's manifest names. Without a revision (0) it is the newest
// one that is understood, and then only if no kube-apiserver can use what is there: it is missing, empty or cut. What is only not
// understood here may be what the kube-apiserver runs with, and have the only copy of a key; that takes a revision.
func (m Machine) PlanRestore(file string, number int) (Restoration, error) {
	if err := m.checkUser(); err != nil {
		return Restoration{}, err
	}
	file, err := m.place(file)
	if err != nil {
		return Restoration{}, err
	}
	there, err := m.look(file)
	if err != nil {
		return Restoration{}, err
	}
	if there.Problem == "" && number == 0 {
		return there, fmt.Errorf("%w: %s is %s; name a revision to put another one in its place", ErrNothingToRestore, file, there.Replaced)
	}
	r, err := m.choose(there, number)
	if err == nil && there.Unclear && number == 0 {
		return r, fmt.Errorf("%w: %s, and nothing in it is missing. If its kube-apiserver runs, write the file such that it is understood, with every "+
			"key that it has; if it refuses the file, name what to put in its place, such as --revision %d", ErrMayBeInUse, r.Problem, r.Revision.Number)
	}
	return r, err
}

// place is where the configuration is on this machine.
func (m Machine) place(file string) (string, error) {
	if file != "" {
		return path.Clean(file), m.checkPath(path.Clean(file))
	}
	const say = "name the encryption configuration with --file"
	f, err := openManifests(m.at(project.NodeManifestDir), m.Owner, m.before)
	if err != nil {
		return "", fmt.Errorf("%w; %s", told(err), say)
	}
	defer f.close()
	manifest, err := f.read(project.APIServerManifest, maxManifest)
	if err != nil {
		return "", fmt.Errorf("%w; %s", told(manifestUnreadable(err)), say)
	}
	e, err := encryptionOf(manifest.data)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w; %s", told(err), say)
	case e.ConfigPath == "":
		return "", errors.New("the kube-apiserver of this machine runs without --encryption-provider-config: it needs no configuration")
	case e.HostPath == "":
		return "", fmt.Errorf("the configuration %s is on no hostPath volume of the kube-apiserver's manifest; %s", e.ConfigPath, say)
	case e.FileMount:
		return "", fmt.Errorf("the kube-apiserver mounts the single file %s: a file that replaces it would not be seen by one that runs; "+
			"stop it first, and %s", e.HostPath, say)
	}
	return e.HostPath, nil
}

// look describes what is in the configuration's place.
func (m Machine) look(file string) (Restoration, error) {
	r := Restoration{Path: file}
	dir, name := path.Split(file)
	f, err := openFolder(m.at(dir), "config", m.Owner, m.before)
	if errors.Is(err, fs.ErrNotExist) {
		r.Problem = "its folder is not there"
		return r, nil
	}
	if err != nil {
		return r, told(err)
	}
	defer f.close()
	content, err := f.read(name, encconfig.MaxSize)
	defer clear(content.data)
	if errors.Is(err, fs.ErrNotExist) {
		r.Problem = "it is not there"
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("what is at %s can't be replaced, move it out of the way first: %w", file, told(err))
	}
	r.Replaced = encconfig.Digest(content.data)
	doc, err := encconfig.Parse(content.data)
	if err != nil {
		r.Problem = "it is not understood: " + err.Error() // made to be shown, see package encconfig
		r.Unclear = !encconfig.Unusable(content.data)
		return r, nil
	}
	r.there = doc.Describe()
	return r, nil
}

// choose finds the revision.
func (m Machine) choose(r Restoration, number int) (Restoration, error) {
	revisions, unread, err := m.revisions()
	if err != nil {
		return r, err
	}
	if slices.Contains(unread, number) {
		return r, fmt.Errorf("revision %d can't be read", number)
	}
	for _, revision := range slices.Backward(revisions) {
		understood := len(revision.Config.Rules) > 0
		switch {
		case number != 0 && revision.Number != number:
			continue
		case number != 0 && !understood:
			return r, fmt.Errorf("revision %d is not a configuration that is understood", number)
		case !understood:
			r.Skipped = append(r.Skipped, revision.Number)
			continue
		}
		r.Revision, r.Already = revision, r.Replaced == revision.Config.Digest
		r.Lacking = lacking(r.there, revision.Config)
		if number == 0 {
			r.Skipped = append(r.Skipped, slices.DeleteFunc(unread, func(n int) bool { return n < revision.Number })...)
			slices.SortFunc(r.Skipped, func(a, b int) int { return b - a })
		}
		return r, nil
	}
	if number != 0 {
		return r, fmt.Errorf("there is no revision %d in %s", number, project.NodeHistoryDir)
	}
	return r, fmt.Errorf("there is no configuration in %s that is understood: take the file from another control-plane node "+
		"(docs/join.md), or from a backup", project.NodeHistoryDir)
}

// revisions are those of the history, oldest first, and the numbers of those that can't be read. None if nothing was ever
// installed here.
func (m Machine) revisions() (list []agentapi.Revision, unread []int, err error) {
	h, err := m.openHistory()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, told(err)
	}
	defer h.close()
	names, err := h.revisions()
	if err != nil {
		return nil, nil, told(err)
	}
	list, err = h.describe()
	if err != nil && len(list) == 0 {
		return nil, nil, told(err)
	}
	for _, r := range names {
		if !slices.ContainsFunc(list, func(known agentapi.Revision) bool { return known.Number == r.number }) {
			unread = append(unread, r.number)
		}
	}
	return list, unread, nil
}

// Restore puts the revision of a plan in its place, by the same steps as an installation: whole, durable, and only if
// what is there still is what the plan has seen, which stays in the history.
func (m Machine) Restore(r Restoration) error {
	if err := m.checkUser(); err != nil {
		return err
	}
	if err := m.checkFolder(path.Dir(r.Path)); err != nil {
		return err
	}
	if err := m.makeFolder(path.Dir(r.Path)); err != nil {
		return err
	}
	h, err := m.openHistory()
	if err != nil {
		return told(err)
	}
	defer h.close()
	data, err := h.bytesOf(r.Revision)
	if err != nil {
		return told(err)
	}
	defer clear(data)
	dir, name := path.Split(r.Path)
	config, err := openFolder(m.at(dir), "config", m.Owner, m.before)
	if err != nil {
		return told(err)
	}
	defer config.close()
	i := &installation{
		config: config, history: h, name: name, temp: tempName(name, RestoreRun),
		intent: intent{Version: journalVersion, Run: RestoreRun, From: r.Replaced, To: r.Revision.Config.Digest},
		data:   data, desc: r.Revision.Config, now: m.Now(),
	}
	if err := i.run(); err != nil {
		return told(err)
	}
	return nil
}

// bytesOf are the bytes of a revision, which must still be what they were.
func (h history) bytesOf(r agentapi.Revision) ([]byte, error) {
	file, err := h.read(revision{number: r.Number, time: r.Time, run: r.Run}.fileName(), encconfig.MaxSize)
	if err != nil {
		return nil, err
	}
	if encconfig.Digest(file.data) != r.Config.Digest {
		clear(file.data)
		return nil, plainf("revision %d has changed meanwhile", r.Number)
	}
	return file.data, nil
}
