// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/podlog"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/readyz"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/staticpod"
)

// sight waits until the kube-apiserver is ready as it is, and tells what it is known by. Without that nothing could
// tell whether an edit works: it is refused.
func (g *Guard) sight(ctx context.Context) (before sighting, refusal string, err error) {
	began := g.Now()
	for {
		before, err = g.look(ctx)
		if err == nil {
			return before, "", nil
		}
		if ctx.Err() != nil {
			return sighting{}, "", context.Cause(ctx)
		}
		if g.Now().Sub(began) >= sightWithin {
			return sighting{}, fmt.Sprintf("the kube-apiserver is not known to be ready before the edit, so nothing could tell "+
				"whether the edit works: %s", err), nil
		}
		if err := g.wait(ctx, pause); err != nil {
			return sighting{}, "", err
		}
	}
}

// look asks the kube-apiserver. It gives what it is known by if it is ready, and otherwise says in words why not.
func (g *Guard) look(ctx context.Context) (sighting, error) {
	file, err := g.manifests.read(g.ManifestName, maxManifest)
	if err != nil {
		return sighting{}, errors.New("the manifest can't be read: " + reason(err))
	}
	m, err := staticpod.Read(file.data)
	if err != nil {
		return sighting{}, fmt.Errorf("the manifest is not understood: %w", err)
	}
	answer, err := g.Ask(ctx, address(m))
	if err != nil {
		return sighting{}, fmt.Errorf("it can't be asked over loopback: %w", err)
	}
	if !answer.Ready() {
		return sighting{}, errors.New(answer.String())
	}
	folder, err := g.logsOf(m).Current()
	if err != nil || folder == "" {
		return sighting{}, fmt.Errorf("the kubelet keeps no log of it in %s", nodeLogDir)
	}
	return sighting{Certificate: answer.Certificate, Reloads: answer.Has(readyz.ReloadHook), Logs: folder}, nil
}

// address is where the kube-apiserver can be reached from its own node.
func address(m staticpod.Manifest) string {
	host := m.BindAddress
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, strconv.Itoa(m.SecurePort))
}

func (g *Guard) logsOf(m staticpod.Manifest) podlog.Logs {
	return podlog.Logs{
		FS: g.logs.FS(), Namespace: m.Namespace, Pod: m.PodName + "-" + strings.ToLower(g.journal.Node), Container: "kube-apiserver",
	}
}

// asEdited holds a sighting against the edit: it must be a new pod of the same kube-apiserver, and reload or not as the
// edit says.
func (g *Guard) asEdited(now sighting) error {
	before := g.journal.Before
	switch {
	case now.Logs == before.Logs:
		return errors.New("the kubelet has not started it as edited")
	case now.Certificate != before.Certificate:
		return errors.New("what answers over loopback has another certificate than the kube-apiserver had")
	case now.Reloads != (g.journal.File != ""):
		return errors.New("it is ready, but not as edited: " + map[bool]string{
			true: "it reloads an encryption configuration", false: "it does not reload its encryption configuration",
		}[now.Reloads])
	}
	return nil
}

// asBefore holds a sighting against what was there before the edit. The same manifest has the same folder of logs.
func (g *Guard) asBefore(now sighting) error {
	before := g.journal.Before
	switch {
	case now.Certificate != before.Certificate:
		return errors.New("what answers over loopback has another certificate than the kube-apiserver had")
	case now.Logs != before.Logs, now.Reloads != before.Reloads:
		return errors.New("the kubelet has not started it again as it was")
	}
	return nil
}

// found is which manifest is there.
type found int

const (
	unknown found = iota
	old
	edited
	another
)

func (g *Guard) which() found {
	file, err := g.manifests.read(g.ManifestName, maxManifest)
	if errors.Is(err, fs.ErrNotExist) || err != nil {
		return unknown // an editor may be about to replace it
	}
	switch encconfig.Digest(file.data) {
	case g.journal.Edit.From:
		return old
	case g.journal.Edit.To:
		return edited
	}
	return another
}

// expiry is when a stage ends that may take a while in all. A node that was down gives its kube-apiserver the whole
// while again. The journal's clock may have been set since, so it is never believed further than the while reaches;
// from then on the process's own clock, which can't be set, counts.
func (g *Guard) expiry(whole time.Duration) time.Time {
	now := g.Now()
	if g.journal.Boot != g.Boot {
		g.journal.Deadline, g.journal.Boot = now.Add(whole), g.Boot
		_ = g.note() // the next start would do the same
		return g.journal.Deadline
	}
	return now.Add(min(max(g.journal.Deadline.Sub(now), 0), whole))
}

// watch waits until the kube-apiserver is ready as edited, up to the deadline. Whoever changes the manifest meanwhile
// is not disturbed.
func (g *Guard) watch(ctx context.Context) error {
	expiry := g.expiry(g.journal.RollbackAfter)
	var streak int
	var last error
	for {
		where := g.which()
		if where == another {
			_ = g.enter(agentapi.EditAbandoned, "somebody else has changed the manifest after the edit") // finish records it
			return nil
		}
		if where == old {
			g.journal.Restored = true
			return g.goBack("somebody else has put the old manifest back")
		}
		if streak, last = g.tally(ctx, streak, g.asEdited); streak >= enough {
			_ = g.enter(agentapi.EditDone, "") // as above
			return nil
		}
		if streak == 0 && !g.Now().Before(expiry) {
			return g.goBack(fmt.Sprintf("the kube-apiserver was not ready as edited within %s: %v", g.journal.RollbackAfter, last))
		}
		if err := g.wait(ctx, pause); err != nil {
			return err
		}
	}
}

// tally looks once and counts how many looks in a row found everything in order.
func (g *Guard) tally(ctx context.Context, streak int, check func(sighting) error) (int, error) {
	now, err := g.look(ctx)
	if err == nil {
		err = check(now)
	}
	if err != nil {
		return 0, err
	}
	return streak + 1, nil
}
