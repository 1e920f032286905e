// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/podlog"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/staticpod"
)

// maxLogLines is how much of a kube-apiserver's log is told.
const maxLogLines = 20

// goBack begins the way back. It goes on whether or not the journal can be written: the manifest matters more.
func (g *Guard) goBack(why string) error {
	g.journal.Edit.Log = g.lastWords()
	if len(g.journal.Edit.Log) == 0 && !g.journal.Restored {
		why += "; its container has left no log"
	}
	g.journal.Deadline, g.journal.Boot = g.Now().Add(restoreWithin), g.Boot
	_ = g.enter(agentapi.EditReverting, why)
	return nil
}

// lastWords are the last lines that the edited kube-apiserver had to say, without key material.
func (g *Guard) lastWords() []string {
	file, err := g.manifests.read(g.ManifestName, maxManifest)
	if err != nil {
		return nil
	}
	m, err := staticpod.Read(file.data)
	if err != nil {
		return nil
	}
	logs := g.logsOf(m)
	folder, err := logs.Current()
	if err != nil || folder == "" || folder == g.journal.Before.Logs {
		return nil
	}
	messages := logs.Last(folder, maxLogLines)
	scrubber := g.scrubber()
	for i := range messages {
		messages[i] = scrubber.Line(messages[i])
	}
	return messages
}

// scrubber knows the keys of all configurations that the history has.
func (g *Guard) scrubber() podlog.Scrubber {
	revisions, err := g.history.revisions()
	if err != nil {
		return podlog.NewScrubber()
	}
	var texts [][]byte
	for _, r := range revisions {
		if file, err := g.history.read(r.fileName(), encconfig.MaxSize); err == nil {
			texts = append(texts, file.data)
		}
	}
	scrubber := podlog.NewScrubber(texts...)
	for _, text := range texts {
		clear(text)
	}
	return scrubber
}

// revert puts the old manifest back and waits until the kube-apiserver is ready with it.
func (g *Guard) revert(ctx context.Context) error {
	expiry := g.expiry(restoreWithin)
	streak, last := 0, error(nil)
	for {
		where := g.which()
		if where == edited && !g.journal.Restored {
			if last = g.restore(); last == nil {
				continue
			}
			where = unknown
		}
		switch where {
		case another, edited:
			_ = g.enter(agentapi.EditAbandoned, g.journal.Edit.Reason+"; on the way back somebody else has changed the manifest")
			return nil
		case old:
			g.journal.Restored = true
			if streak, last = g.tally(ctx, streak, g.asBefore); streak >= enough {
				_ = g.enter(agentapi.EditReverted, "") // finish records it
				return nil
			}
		case unknown:
			streak = 0
		}
		if streak == 0 && !g.Now().Before(expiry) {
			_ = g.enter(agentapi.EditAbandoned, fmt.Sprintf("%s; within %s after that the kube-apiserver was not ready as it was before either: %s",
				g.journal.Edit.Reason, restoreWithin, shown(last)))
			return nil
		}
		if err := g.wait(ctx, pause); err != nil {
			return err
		}
	}
}

func shown(err error) string {
	if err == nil {
		return "its manifest can't be read"
	}
	return err.Error()
}

// restore puts the old manifest back, byte for byte: by renaming the one that was written before the edit, or, if
// somebody has removed that, with the one that the history keeps.
func (g *Guard) restore() error {
	back := backTemp(g.ManifestName, g.Run)
	if !g.holds(back, g.journal.Edit.From) {
		if err := g.fromHistory(back); err != nil {
			return errors.New("the old manifest can't be put back: " + reason(err))
		}
	}
	if g.which() != edited {
		return errors.New("somebody else is changing the manifest")
	}
	if err := g.manifests.rename(back, g.ManifestName); err != nil {
		return errors.New("the old manifest can't be put back: " + reason(err))
	}
	g.journal.Restored = true
	// Noted only when a power cut can't undo it: an edited manifest after that is somebody else's.
	if err := g.manifests.sync(); err == nil {
		_ = g.note() // where it can't be noted, which manifest is there can still be seen
	}
	return nil
}

func (g *Guard) fromHistory(name string) error {
	data, err := g.history.backup(g.journal.Backup, g.journal.Edit.From)
	if err != nil {
		return err
	}
	there, err := g.manifests.read(g.ManifestName, maxManifest)
	if err != nil {
		return err
	}
	if err := g.manifests.remove(name); err != nil {
		return err
	}
	return g.manifests.writeMode(name, data, there.mode)
}
