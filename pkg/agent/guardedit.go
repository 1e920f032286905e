// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"io/fs"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
)

// begin makes the edit, or refuses to: then nothing is changed.
func (g *Guard) begin(ctx context.Context) error {
	file, err := g.manifests.read(g.ManifestName, maxManifest)
	switch {
	case err != nil && g.journal.Before != nil:
		_ = g.enter(agentapi.EditWatched, "") // it may be edited already: the watch knows what to do where nothing can be seen
		return nil
	case err != nil:
		return g.refuse("the manifest can't be read: " + reason(err))
	}
	switch digest := encconfig.Digest(file.data); {
	case digest == g.journal.Edit.To && g.journal.Before != nil:
		_ = g.enter(agentapi.EditWatched, "") // that it was edited can be seen
		return nil
	case digest != g.journal.Edit.From:
		return g.refuse("somebody else has changed the manifest")
	case g.Now().After(g.journal.StartBy):
		return g.refuse("the guard was not started in time")
	}
	before, refusal, err := g.sight(ctx)
	if err != nil {
		return err
	}
	if refusal != "" {
		return g.refuse(refusal)
	}
	if err := g.edit(file, before); err != nil {
		return g.editFailed(err)
	}
	_ = g.enter(agentapi.EditWatched, "") // as above
	return nil
}

func (g *Guard) refuse(why string) error {
	_ = g.enter(agentapi.EditRefused, why) // finish records it
	return nil
}

// edit replaces the manifest.
//
//  1. Compute the edited manifest anew: it must be what was announced.
//  2. Note what the kube-apiserver was known by, and the deadline: from here on the edit may be there.
//  3. Remove what an earlier start of the guard left.
//  4. Write the old manifest and the edited one beside it, fsync both, read them again and compare, and fsync the folder.
//     All that needs room on the disk is done now.
//  5. Look at the manifest once more: what somebody wrote meanwhile must not be lost. And look at the clock once more:
//     an edit that has not begun in time counts as refused.
//  6. Rename, the one step that the kubelet sees.
//  7. Fsync the folder.
func (g *Guard) edit(old content, before sighting) error {
	to, err := apply(old.data, g.journal.File) // 1
	if err != nil || encconfig.Digest(to) != g.journal.Edit.To {
		return plainf("the edit is not the one that was announced")
	}
	g.journal.Before = &before
	g.journal.Deadline, g.journal.Boot = g.Now().Add(g.journal.RollbackAfter), g.Boot
	if err := g.note(); err != nil { // 2
		return err
	}
	if err := g.removeTemps(); err != nil { // 3
		return err
	}
	back, next := backTemp(g.ManifestName, g.Run), editTemp(g.ManifestName, g.Run)
	if err := errors.Join(g.write(back, old.data, old.mode), g.write(next, to, old.mode), g.manifests.sync()); err != nil { // 4
		return err
	}
	if !g.holds(g.ManifestName, g.journal.Edit.From) { // 5
		return plainf("somebody else has changed the manifest")
	}
	if g.Now().After(g.journal.StartBy) {
		return plainf("the guard did not come to the edit in time")
	}
	if err := g.manifests.rename(next, g.ManifestName); err != nil { // 6
		return err
	}
	return g.manifests.sync() // 7
}

// write writes a file and makes sure that it holds what was written.
func (g *Guard) write(name string, data []byte, mode fs.FileMode) error {
	if err := g.manifests.writeMode(name, data, mode); err != nil {
		return err
	}
	if !g.holds(name, encconfig.Digest(data)) {
		return plainf("%s does not hold what was written to it", name)
	}
	return nil
}

// holds tells whether a file has a digest.
func (g *Guard) holds(name, digest string) bool {
	file, err := g.manifests.read(name, maxManifest)
	return err == nil && encconfig.Digest(file.data) == digest
}

// editFailed refuses if nothing was changed, and otherwise goes back.
func (g *Guard) editFailed(err error) error {
	why := "the manifest can't be edited: " + reason(err)
	if g.holds(g.ManifestName, g.journal.Edit.To) {
		return g.goBack(why)
	}
	g.journal.Before = nil
	return g.refuse(why)
}
